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
  return record({
    hello: option(event, { freq: 3 }),
    idle: rules,
    busy: rules,
    kids: record({ a: below, b: below, inv: below }),
  }) as Arbitrary<Plan>
}

/** Trees of three levels. */
export const plans = planBelow(2)
/** What is sent to the root from outside. */
export const outside = array(record({ type: event, fuel: integer({ min: 1, max: 5 }) }), { minLength: 2, maxLength: 6, size: 'max' })

interface Input {
  readonly path: string
  readonly fuel: number
  /** Which child of its parent it is. */
  readonly nth: number
}
interface Context extends Input {
  /** Children that were not stopped, by id: which one of them it is. */
  readonly alive: Readonly<Record<string, number>>
  readonly born: number
}
interface Fuelled {
  readonly type: string
  readonly fuel?: number
  readonly output?: unknown
}

/** The machine of a plan. `trace` is told of every event that is handled, in both hosts alike. */
export function machineOf(plan: Plan, trace: string[], isRoot = true): AnyStateMachine {
  const actors: Record<string, AnyStateMachine> = {}
  for (const [name, below] of Object.entries(plan.kids)) if (below !== undefined) actors[name] = machineOf(below, trace, false)
  const hasInv = actors['inv'] !== undefined
  const base = setup({
    types: { context: {} as Context, events: {} as Fuelled, input: {} as Input },
    actors: actors as never,
  })
  /** The late `done` of a child that was stopped reaches its successor under createActor, and is stale here: it is not compared. */
  const note = (context: Context, event: Fuelled): void => {
    const child = /^xstate\.done\.actor\.(.*)$/.exec(event.type)?.[1]
    if (child === undefined || context.alive[child] === event.output) trace.push(`${context.path} ${event.type} ${event.fuel ?? '-'}`)
  }
  const take = (ops: readonly Op[], toInv: boolean) =>
    base.enqueueActions(({ context, event, enqueue }) => {
      note(context, event)
      const left = (event.fuel ?? 0) - 1
      if (left < 0) return
      const alive = { ...context.alive }
      let { born } = context
      for (const op of ops) {
        if (op.op === 'raise') enqueue.raise({ type: op.event, fuel: left })
        else if (op.op === 'spawn' && actors[op.kid] !== undefined && !(op.kid in alive)) {
          alive[op.kid] = ++born
          enqueue.spawnChild(op.kid as never, { id: op.kid, input: { path: `${context.path}/${op.kid}`, fuel: left, nth: born } } as never)
        } else if (op.op === 'stop' && op.kid in alive) {
          delete alive[op.kid]
          enqueue.stopChild(op.kid)
        } else if (op.op === 'send' && (op.to !== 'inv' || toInv)) sendOne(enqueue as never, op, { left, alive, isRoot })
      }
      enqueue.assign({ alive, born })
    })
  const on = (name: 'idle' | 'busy') =>
    Object.fromEntries([
      ...Object.entries(plan[name]).map(([type, { ops, target, reenter }]) =>
        target === null
          ? [type, { actions: take(ops, name === 'busy' && hasInv) }]
          : [type, { target, reenter, actions: take(ops, false) }],
      ),
      ['*', { actions: base.enqueueActions(({ context, event }) => note(context, event)) }],
    ])
  const hello = base.enqueueActions(({ context, enqueue }) => {
    if (plan.hello !== null && !isRoot && context.fuel > 0) enqueue.sendParent({ type: plan.hello, fuel: context.fuel - 1 })
  })
  const inv = {
    src: 'inv',
    id: 'inv',
    input: ({ context, event }: { context: Context; event: Fuelled }) => {
      return { path: `${context.path}/inv`, fuel: (event.fuel ?? 0) - 1, nth: context.alive['inv'] }
    },
  }
  const busy = {
    entry: base.assign(({ context }) => ({ born: context.born + 1, alive: { ...context.alive, inv: context.born + 1 } })),
    exit: base.assign(({ context: { alive } }) => ({ alive: Object.fromEntries(Object.entries(alive).filter(([id]) => id !== 'inv')) })),
    invoke: inv,
  }
  return base.createMachine({
    context: ({ input }) => ({ ...input, alive: {}, born: 0 }),
    entry: hello,
    initial: 'idle',
    states: { idle: { on: on('idle') }, busy: { on: on('busy'), ...(hasInv ? busy : {}) }, done: { type: 'final' } } as never,
    output: ({ context }) => context.nth,
  }) as unknown as AnyStateMachine
}

interface Surroundings {
  readonly left: number
  readonly alive: Readonly<Record<string, number>>
  readonly isRoot: boolean
}
type Enqueue = Parameters<Parameters<typeof enqueueActions>[0]>[0]['enqueue']

function sendOne(enqueue: Enqueue, op: Extract<Op, { op: 'send' }>, { left, alive, isRoot }: Surroundings): void {
  const event = { type: op.event, fuel: left }
  if (op.to === 'self' || (op.to === 'parent' && isRoot)) enqueue.sendTo(({ self }: { self: unknown }) => self as never, event as never)
  else if (op.to === 'parent') enqueue.sendParent(event)
  else if (op.to in alive) enqueue.sendTo(op.to as never, event as never)
}
