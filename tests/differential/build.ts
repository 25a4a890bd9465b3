/**
 * Makes a real machine of a {@link Machine} literal. Every action is one of XState's own, used the way its documentation does.
 *
 * What keeps cascades finite in both hosts: a transition that was drawn is taken only while its actor has energy, and takes one unit of it. Events from
 * outside bring new energy, a child is born with its own. A child is spawned, stopped or written to only where the context says that it lives.
 *
 * The known differences between the hosts are masked here, each named:
 * - SUCCESSOR: mail by a reference to a sibling or parent is for the address here, for that very actor under createActor. It carries the number that
 *   it is for, and nobody else takes it.
 * - EARLY_SIBLING: the first step of an actor finds siblings in the system here that createActor registers later. It does not look anybody up.
 */
import {
  type AnyActorRef,
  type AnyStateMachine,
  and,
  assign,
  cancel,
  emit,
  enqueueActions,
  forwardTo,
  log,
  not,
  raise,
  sendParent,
  sendTo,
  setup,
  spawnChild,
  stateIn,
} from 'xstate'
import { type Condition, type Delay, EVENTS, type KidId, type Machine, type Op, type State, type Transition } from './literal.ts'

export const ROOT = '/top/one'
/** What an event from outside brings. */
export const ENERGY = 10
const ENERGY_AT_BIRTH = 6

export interface Input {
  readonly path: string
  readonly nth: number
  readonly bossNth: number
  readonly energy: number
  readonly peer: Kept | null
}
interface Kept {
  readonly ref: AnyActorRef
  readonly nth: number
}
interface Context extends Input {
  readonly n: number
  readonly m: number
  readonly born: number
  /** Numbers of the children that live, by id. */
  readonly alive: Readonly<Record<string, number>>
  /** References kept since a spawn; their actors may be gone. */
  readonly refs: Readonly<Record<string, Kept>>
  readonly boss: AnyActorRef | null
  /** Whether something other than its birth has happened to it. */
  readonly awake: boolean
  readonly last: readonly string[]
}
interface Event {
  readonly type: string
  readonly energy?: number
  readonly for?: number
  readonly raised?: boolean
  readonly output?: { readonly nth: number; readonly n: number }
  readonly error?: { readonly message: string }
  readonly snapshot?: { readonly value: unknown; readonly context: { readonly nth: number; readonly n: number } }
}
interface Args {
  readonly context: Context
  readonly event: Event
}

// Literals decide at run time what the types of XState want to know before.
// biome-ignore lint/suspicious/noExplicitAny: see above.
type Loose = any

/** The machine of a literal. `trace` is told of every event that is handled, in both hosts alike. */
export function build(machine: Machine, trace: string[], path = ROOT): AnyStateMachine {
  const isRoot = path === ROOT
  const actors: Record<string, AnyStateMachine> = {}
  for (const [id, kid] of Object.entries(machine.kids)) actors[id] = build(kid.machine, trace, `${path}/${id}`)
  const parts = new Parts(machine, path, isRoot, trace)
  const root = parts.state(machine.root, '')
  const fallback = { guard: parts.isForMe, actions: parts.note }
  const own = root['on'] as Record<string, unknown[]>
  const news = ['xstate.done.actor.*', 'xstate.snapshot.*', ...(machine.catches ? ['xstate.error.actor.*'] : [])]
  const on = Object.fromEntries([...EVENTS, ...news].map((type) => [type, [...(own[type] ?? []), fallback]]))
  const make: Loose = setup({
    types: { context: {} as Context, events: {} as Event, input: {} as Input },
    actors: actors as Loose,
    delays: { quick: 11, slow: ({ context }) => 211 + (context.n % 5) },
    guards: { holds: ({ context }, params: { key: 'n' | 'm'; mod: number; is: number }) => context[params.key] % params.mod === params.is },
  })
  return make.createMachine({
    id: 'm',
    ...root,
    on,
    context: ({ input, self, spawn }: { input: Input; self: { _parent?: AnyActorRef }; spawn: Loose }) => parts.context(input, self, spawn),
    output: ({ context }: Args) => {
      if (holds(machine.outputThrows, context)) throw new Error(`output of ${path}`)
      return { nth: context.nth, n: context.n }
    },
  })
}

class Parts {
  readonly #machine: Machine
  readonly #path: string
  readonly #isRoot: boolean
  /** Notes the event, and that a child is over. */
  readonly note: Loose
  /** The same for what no event has brought: it brings no energy either. */
  readonly #noteAlways: Loose

  constructor(machine: Machine, path: string, isRoot: boolean, trace: string[]) {
    this.#machine = machine
    this.#path = path
    this.#isRoot = isRoot
    const noting =
      (energyOf: (args: Args) => number) =>
      ({ context, event }: Args): Partial<Context> => {
        const what = toldBy(event)
        const awake =
          context.awake || !(event.type === 'xstate.init' || event.raised === true || event.type.startsWith('xstate.done.state.'))
        if (awake) trace.push(`${context.path} ${what}`)
        const over = /^xstate\.(?:done|error)\.actor\.(.*)$/.exec(event.type)?.[1]
        return {
          awake,
          last: [...context.last, what].slice(-4),
          energy: energyOf({ context, event }) - 1,
          ...(over === undefined ? {} : without(context, over)),
        }
      }
    this.note = assign(noting(energyWith))
    this.#noteAlways = assign(noting(({ context }) => context.energy))
  }

  context(input: Input, self: { _parent?: AnyActorRef }, spawn: Loose): Context {
    const blank = {
      ...input,
      n: input.nth,
      m: 0,
      born: 0,
      alive: {},
      refs: {},
      boss: this.#isRoot ? null : self._parent!,
      awake: false,
      last: [],
    }
    const first = this.#machine.first
    return first === undefined ? blank : { ...blank, ...this.#spawned(first, blank, spawn) }
  }

  readonly isForMe = ({ context, event }: Args): boolean => event.for === undefined || event.for === context.nth

  state(state: State, path: string): Record<string, unknown> {
    if (state.type === 'history') return { type: 'history', history: state.history, target: this.#target(state.initial!) }
    const invokes = state.invoke ?? []
    const one = (transition: Transition | undefined): unknown => (transition === undefined ? undefined : this.#transition(transition))
    const entry = [...invokes.map(({ id }) => assign(({ context }: Args) => bearing(context, id))), ...this.#all(state.entry)]
    const exit = [...this.#all(state.exit), ...invokes.map(({ id }) => assign(({ context }: Args) => without(context, id)))]
    const below = Object.entries(state.states ?? {})
    return {
      ...(state.type === undefined ? {} : { type: state.type }),
      ...(state.initial === undefined ? {} : { initial: state.initial }),
      ...(below.length === 0
        ? {}
        : { states: Object.fromEntries(below.map(([key, inner]) => [key, this.state(inner, path === '' ? key : `${path}.${key}`)])) }),
      entry,
      exit,
      ...(state.type === 'final'
        ? {}
        : {
            on: Object.fromEntries(Object.entries(state.on ?? {}).map(([type, list]) => [type, list.map((each) => one(each))])),
            always: (state.always ?? []).map((each) => this.#transition(each, true)),
            after: Object.fromEntries(Object.entries(state.after ?? {}).map(([delay, each]) => [delay, one(each)])),
            invoke: invokes.map((invoke) => ({
              id: invoke.id,
              src: invoke.id,
              ...this.#systemId(invoke.id),
              input: ({ context }: Args) => {
                if (holds(invoke.inputThrows, context)) throw new Error(`input of ${invoke.id} of ${context.path}`)
                return childInput(context, invoke.id, context.alive[invoke.id] ?? 0)
              },
              ...(invoke.onDone === undefined ? {} : { onDone: one(invoke.onDone) }),
              ...(invoke.onError === undefined ? {} : { onError: one(invoke.onError) }),
              ...(invoke.onSnapshot === undefined ? {} : { onSnapshot: one(invoke.onSnapshot) }),
            })),
            ...(state.onDone === undefined ? {} : { onDone: one(state.onDone) }),
          }),
    }
  }

  #all(ops: readonly Op[] | undefined): unknown[] {
    return (ops ?? []).flatMap((op) => this.#op(op))
  }

  #transition({ when, guardThrows, target, reenter, ops }: Transition, isAlways = false): unknown {
    const hasEnergy = ({ context, event }: Args): boolean => {
      if (isAlways ? context.energy <= 0 : energyWith({ context, event }) <= 0 || !this.isForMe({ context, event })) return false
      if (guardThrows === true && context.n % 3 === 2) throw new Error(`guard of ${context.path}`)
      return true
    }
    return {
      guard: when === undefined ? hasEnergy : and([hasEnergy as Loose, guardOf(when)]),
      ...(target === undefined ? {} : { target: this.#target(target) }),
      ...(reenter === undefined ? {} : { reenter }),
      actions: [isAlways ? this.#noteAlways : this.note, ...this.#all(ops)],
    }
  }

  #target(path: string): string {
    return path === '' ? '#m' : `#m.${path}`
  }

  #systemId(id: KidId): { systemId?: string } {
    return this.#machine.kids[id]?.system === true ? { systemId: `${this.#path}/${id}` } : {}
  }

  #spawned(kid: KidId, context: Context, spawn: Loose): Partial<Context> {
    const born = bearing(context, kid)
    const ref = spawn(kid, {
      id: kid,
      ...this.#systemId(kid),
      syncSnapshot: this.#machine.kids[kid]!.sync,
      input: childInput(context, kid, born.alive![kid]!),
    })
    return { ...born, refs: { ...context.refs, [kid]: { ref, nth: born.born! } } }
  }

  #op(op: Op): unknown[] {
    switch (op.do) {
      case 'add':
        return [assign(({ context }: Args) => ({ [op.key]: context[op.key] + op.by }))]
      case 'raise': {
        const event = { type: op.event, raised: op.delay === undefined } as Loose
        return this.#timed(op, (options) => raise(event, options as Loose))
      }
      case 'send':
        return this.#timed(op, (options) => this.#send(op, options))
      case 'forward':
        return [
          enqueueActions(({ context, event, enqueue }: Args & { enqueue: Loose }) => {
            if (op.to in context.alive && (EVENTS as readonly string[]).includes(event.type)) enqueue(forwardTo(op.to))
          }),
        ]
      case 'cancel':
        return [cancel(op.id)]
      case 'spawn':
        return [this.#spawn(op)]
      case 'stop':
        return [
          enqueueActions(({ context, enqueue }: Args & { enqueue: Loose }) => {
            const kept = op.by === 'ref' ? context.refs[op.kid] : undefined
            const alive = context.alive[op.kid]
            if (kept === undefined ? alive === undefined : alive !== undefined && alive !== kept.nth) return
            enqueue.stopChild(kept?.ref ?? op.kid)
            enqueue.assign(without(context, op.kid))
          }),
        ]
      case 'throw':
        return [thrower(op)]
      case 'emit':
        return [emit(({ context }: Args) => ({ type: 'told', n: context.n }))]
      case 'log':
        return [log(({ context }: Args) => `n is ${context.n}`, 'told')]
    }
  }

  /** An id is cancelled before it is set again: two timers of one id are a known difference (DOUBLE_TIMER). */
  #timed(op: { readonly delay?: Delay; readonly id?: string }, make: (options: object) => unknown): unknown[] {
    if (op.delay === undefined) return [make({})]
    const delay = delayOf(op.delay)
    return op.id === undefined ? [make({ delay })] : [cancel(op.id), make({ delay, id: op.id })]
  }

  #send(op: Extract<Op, { do: 'send' }>, options: object): unknown {
    const { to } = op
    const type = op.event
    const self = sendTo(({ self: own }: { self: AnyActorRef }) => own, { type } as Loose, options)
    if (to === 'self' || (this.#isRoot && (to === 'parent' || to === 'boss' || to === 'peer'))) return self
    if (to === 'parent') return sendParent({ type } as Loose, options)
    if (to === 'boss') {
      const event = ({ context }: Args) => ({ type, for: context.bossNth })
      return sendTo(({ context }: Args) => context.boss!, event as Loose, options)
    }
    return enqueueActions(({ context, enqueue, system }: Args & { enqueue: Loose; system: Loose }) => {
      if (to === 'peer') {
        const { peer } = context
        if (peer !== null) enqueue.sendTo(peer.ref, { type, for: peer.nth }, options)
      } else if (typeof to === 'string') {
        if (to in context.alive) enqueue.sendTo(to, { type }, options)
      } else if ('ref' in to) {
        if (to.ref in context.refs) enqueue.sendTo(({ context: now }: Args) => now.refs[to.ref]!.ref, { type }, options)
      } else if (context.awake && system.get(`${ROOT}${to.system}`) !== undefined) {
        enqueue.sendTo(({ system: all }: { system: Loose }) => all.get(`${ROOT}${to.system}`), { type }, options)
      }
    })
  }

  #spawn({ kid, how }: Extract<Op, { do: 'spawn' }>): unknown {
    const { sync } = this.#machine.kids[kid]!
    if (how === 'assign')
      return assign(({ context, spawn }: Args & { spawn: Loose }) =>
        kid in context.alive || context.energy < 0 ? {} : this.#spawned(kid, context, spawn),
      )
    return enqueueActions(({ context, enqueue }: Args & { enqueue: Loose }) => {
      if (kid in context.alive || context.energy < 0) return
      enqueue.assign(bearing(context, kid))
      const input = ({ context: now }: Args): Input => childInput(now, kid, now.alive[kid]!)
      enqueue(spawnChild(kid as Loose, { id: kid, syncSnapshot: sync, input, ...this.#systemId(kid) } as Loose))
    })
  }
}

function guardOf(condition: Condition): Loose {
  if ('in' in condition) return stateIn(condition.in === '' ? '#m' : `#m.${condition.in}`)
  if ('not' in condition) return not(guardOf(condition.not))
  if ('both' in condition) return and(condition.both.map(guardOf))
  return { type: 'holds', params: condition }
}

function holds(condition: Condition | undefined, context: Context): boolean {
  if (condition === undefined || 'in' in condition) return false
  if ('not' in condition) return !holds(condition.not, context)
  if ('both' in condition) return condition.both.every((each) => holds(each, context))
  return context[condition.key] % condition.mod === condition.is
}

function delayOf(delay: Delay): Loose {
  if (typeof delay !== 'object') return delay
  if ('plus' in delay) return ({ context }: Args) => delay.ms + context[delay.plus]
  return ({ context }: Args) => {
    if (holds(delay.throws, context)) throw new Error(`delay of ${context.path}`)
    return 17
  }
}

function thrower({ when, where }: Extract<Op, { do: 'throw' }>): unknown {
  const strike = (context: Context): void => {
    if (holds(when, context)) throw new Error(`${where} of ${context.path}`)
  }
  if (where === 'assign')
    return assign(({ context }: Args) => {
      strike(context)
      return {}
    })
  if (where === 'enqueue') return enqueueActions(({ context }: Args) => strike(context))
  return raise(({ context }: Args) => {
    strike(context)
    return { type: 'nothing' } as Loose
  })
}

const energyWith = ({ context, event }: Args): number => event.energy ?? context.energy

const bearing = (context: Context, id: string): Partial<Context> => ({
  born: context.born + 1,
  alive: { ...context.alive, [id]: context.born + 1 },
})

const without = (context: Context, id: string): Partial<Context> => ({
  alive: Object.fromEntries(Object.entries(context.alive).filter(([each]) => each !== id)),
})

function childInput(context: Context, id: string, nth: number): Input {
  const [peer] = Object.entries(context.refs).filter(([each, { nth: kept }]) => each !== id && context.alive[each] === kept)
  return {
    path: `${context.path}/${id}`,
    nth,
    bossNth: context.nth,
    energy: ENERGY_AT_BIRTH,
    peer: peer?.[1] ?? null,
  }
}

function toldBy(event: Event): string {
  const { error, output, snapshot } = event
  if (error !== undefined) return `${event.type}: ${error.message}`
  if (output !== undefined) return `${event.type}: ${JSON.stringify(output)}`
  return snapshot === undefined ? event.type : `${event.type}: ${JSON.stringify(snapshot.value)} ${snapshot.context.n}`
}
