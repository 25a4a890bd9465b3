/**
 * Random trees of machines for the differential test: what an actor does on each event in each state is drawn, within rules that keep both hosts sane.
 *
 *   /top/one ── a, b (spawned)      each with a, b and inv of its own
 *      └─────── inv (invoked by `busy`)
 *
 * - Every event carries fuel; what it causes carries less, so every cascade ends.
 * - A child is spawned only while no child has its id, and nobody sends to a child that was never there: those are errors in both hosts.
 * - Each handler notes (actor, event, fuel) while it is taken: the trace that is compared.
 */
import { type Arbitrary, array, boolean, constantFrom, dictionary, integer, oneof, option, record } from 'fast-check'
import { type AnyStateMachine, type enqueueActions, setup } from 'xstate'

const EVENTS = ['x', 'y', 'z'] as const
type EventName = (typeof EVENTS)[number]
type Kid = 'a' | 'b'

type Op =
  | { readonly op: 'send'; readonly to: Kid | 'inv' | 'parent' | 'self'; readonly event: EventName }
  | { readonly op: 'raise'; readonly event: EventName }
  | { readonly op: 'spawn' | 'stop'; readonly kid: Kid }

interface Rule {
  readonly ops: readonly Op[]
  readonly target: 'idle' | 'busy' | 'done' | null
  readonly reenter: boolean
}

export interface Plan {
  /** Sent to the parent by the first step. */
  readonly hello: EventName | null
  readonly idle: Partial<Record<EventName, Rule>>
  readonly busy: Partial<Record<EventName, Rule>>
  readonly kids: { readonly a?: Plan; readonly b?: Plan; readonly inv?: Plan }
}

const event = constantFrom(...EVENTS)
const kid = constantFrom<Kid>('a', 'b')
const op = oneof(
  { weight: 5, arbitrary: record({ op: constantFrom('send' as const), to: constantFrom('a', 'b', 'inv', 'parent', 'self'), event }) },
  { weight: 1, arbitrary: record({ op: constantFrom('raise' as const), event }) },
  { weight: 3, arbitrary: record({ op: constantFrom('spawn' as const), kid }) },
  { weight: 1, arbitrary: record({ op: constantFrom('stop' as const), kid }) },
)
const rule = record<Rule>({
  ops: array(op as never, { minLength: 1, maxLength: 5, size: 'max' }),
  target: oneof(
    { weight: 6, arbitrary: constantFrom(null) },
    { weight: 4, arbitrary: constantFrom('idle', 'busy', 'busy') },
    { weight: 1, arbitrary: constantFrom('done') },
  ) as never,
  reenter: boolean(),
})
const rules = dictionary(event, rule, { minKeys: 3, maxKeys: 3 })

function planBelow(depth: number): Arbitrary<Plan> {
  const below: Arbitrary<Plan | undefined> = depth === 0 ? constantFrom(undefined) : planBelow(depth - 1)
  return record({ hello: option(event, { freq: 3 }), idle: rules, busy: rules, kids: record({ a: below, b: below, inv: below }) }) as Arbitrary<Plan>
}

/** Trees of three levels. */
export const plans = planBelow(2)
/** What is sent to the root from outside. */
export const outside = array(record({ type: event, fuel: integer({ min: 1, max: 5 }) }), { minLength: 2, maxLength: 6, size: 'max' })

interface Context {
  readonly path: string
  readonly fuel: number
  readonly alive: readonly string[]
}
interface Fuelled {
  readonly type: string
  readonly fuel?: number
}

/** The machine of a plan. `trace` is told of every event that is handled, in both hosts alike. */
export function machineOf(plan: Plan, trace: string[], isRoot = true): AnyStateMachine {
  const actors: Record<string, AnyStateMachine> = {}
  for (const [name, below] of Object.entries(plan.kids)) if (below !== undefined) actors[name] = machineOf(below, trace, false)
  const base = setup({
    types: { context: {} as Context, events: {} as Fuelled, input: {} as { path: string; fuel: number } },
    actors: actors as never,
  })
  const note = (context: Context, event: Fuelled): void => void trace.push(`${context.path} ${event.type} ${event.fuel ?? '-'}`)
  const take = (ops: readonly Op[], inv: boolean) =>
    base.enqueueActions(({ context, event, enqueue }) => {
      note(context, event)
      const left = (event.fuel ?? 0) - 1
      if (left < 0) return
      const alive = new Set(context.alive)
      const child = (id: string) => ({ path: `${context.path}/${id}`, fuel: left })
      for (const op of ops) {
        if (op.op === 'raise') enqueue.raise({ type: op.event, fuel: left })
        else if (op.op === 'spawn' && actors[op.kid] !== undefined && !alive.has(op.kid)) {
          enqueue.spawnChild(op.kid as never, { id: op.kid, input: child(op.kid) } as never)
          alive.add(op.kid)
        } else if (op.op === 'stop' && alive.delete(op.kid)) enqueue.stopChild(op.kid)
        else if (op.op === 'send') sendOne(enqueue as never, op, { left, alive, inv, isRoot })
      }
      enqueue.assign({ alive: [...alive] })
    })
  const states = (name: 'idle' | 'busy') => ({
    on: Object.fromEntries([
      ...Object.entries(plan[name]).map(([type, rule]) => {
        const stays = rule.target === null
        return [
          type,
          {
            actions: take(rule.ops, name === 'busy' && stays && actors['inv'] !== undefined),
            reenter: rule.reenter && !stays,
            ...(stays ? {} : { target: rule.target }),
          },
        ]
      }),
      ['*', { actions: base.enqueueActions(({ context, event }) => note(context, event)) }],
    ]),
  })
  const hello = base.enqueueActions(({ context, enqueue }) => {
    if (plan.hello !== null && !isRoot && context.fuel > 0) enqueue.sendParent({ type: plan.hello, fuel: context.fuel - 1 })
  })
  const invoke = {
    src: 'inv',
    id: 'inv',
    input: ({ context, event }: { context: Context; event: Fuelled }) => ({ path: `${context.path}/inv`, fuel: (event.fuel ?? 0) - 1 }),
  }
  return base.createMachine({
    context: ({ input }) => ({ ...input, alive: [] }),
    entry: hello,
    initial: 'idle',
    states: {
      idle: states('idle') as never,
      busy: { ...states('busy'), ...(actors['inv'] === undefined ? {} : { invoke }) } as never,
      done: { type: 'final' },
    },
  }) as AnyStateMachine
}

interface Surroundings {
  readonly left: number
  readonly alive: ReadonlySet<string>
  readonly inv: boolean
  readonly isRoot: boolean
}
type Enqueue = Parameters<Parameters<typeof enqueueActions>[0]>[0]['enqueue']

function sendOne(enqueue: Enqueue, op: Extract<Op, { op: 'send' }>, { left, alive, inv, isRoot }: Surroundings): void {
  const event = { type: op.event, fuel: left }
  if (op.to === 'self' || (op.to === 'parent' && isRoot)) enqueue.sendTo(({ self }: { self: unknown }) => self as never, event as never)
  else if (op.to === 'parent') enqueue.sendParent(event)
  else if (op.to === 'inv' ? inv : alive.has(op.to)) enqueue.sendTo(op.to as never, event as never)
}
