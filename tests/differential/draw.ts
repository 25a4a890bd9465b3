/**
 * Draws machines and what is played to them.
 *
 * States are drawn as a shape first; then targets, which are drawn as numbers, become paths of that shape. So a machine that shrinks stays a machine.
 * Drawn so that both hosts have a meaning for it: an invoke's id is free where its state is active, a final state has no transitions.
 */
import { type Arbitrary, array, boolean, constant, constantFrom, integer, nat, oneof, record, tuple } from 'fast-check'
import {
  type Condition,
  type Delay,
  EVENTS,
  type EventName,
  type InvokedId,
  type Key,
  type Kid,
  type KidId,
  kidsOf,
  type Machine,
  type Op,
  type Play,
  type State,
  statesOf,
  type To,
  type Transition,
} from './literal.ts'

type Weighted<T> = { readonly weight: number; readonly arbitrary: Arbitrary<T> }
/** What is drawn shrinks towards the first. */
const choice = <T>(...all: readonly Weighted<NoInfer<T>>[]): Arbitrary<T> => oneof({ withCrossShrink: true }, ...all) as Arbitrary<T>
const event = constantFrom<EventName>(...EVENTS)
const key = constantFrom<Key>('n', 'm')
const kid = constantFrom<KidId>('a', 'b', 'i', 'j')
const timerId = constantFrom('t', 'u')
/** Of ten, so many. */
const rarely = <T>(often: number, arbitrary: Arbitrary<T>): Arbitrary<T | undefined> =>
  choice<T | undefined>({ weight: 10 - often, arbitrary: constant(undefined) }, { weight: often, arbitrary })

/** Spread out, so that two timers of different actors are rarely due at the same instant. */
// biome-ignore format: a list of numbers
const PRIMES = [
  2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 83, 97, 103, 109, 127, 137, 149, 157,
  167, 179, 191, 197, 211, 227, 233, 241, 257, 269, 277, 283, 307, 313, 331, 347, 353, 367, 379, 389, 401, 419, 431, 439, 449, 461, 467, 487, 499,
] as const
const ms = constantFrom<number>(...PRIMES)

const simple: Arbitrary<Condition> = record({ key, mod: constantFrom(2, 3), is: constantFrom(0, 1) })
const drawnIn: Arbitrary<Condition> = nat(30).map((state) => ({ in: String(state) }))
const condition: Arbitrary<Condition> = choice(
  { weight: 6, arbitrary: simple },
  { weight: 1, arbitrary: drawnIn },
  { weight: 1, arbitrary: simple.map((not) => ({ not })) },
  {
    weight: 1,
    arbitrary: tuple(simple, choice<Condition>({ weight: 1, arbitrary: simple }, { weight: 1, arbitrary: drawnIn })).map((both) => ({
      both,
    })),
  },
)
const rareThrow: Arbitrary<Condition> = record({ key, mod: constant(4), is: constant(3) })

const delay: Arbitrary<Delay> = choice(
  { weight: 6, arbitrary: ms },
  { weight: 1, arbitrary: constantFrom('quick' as const, 'slow' as const) },
  { weight: 1, arbitrary: record({ plus: key, ms }) },
  { weight: 1, arbitrary: constant(0) },
)

const to: Arbitrary<To> = choice(
  { weight: 6, arbitrary: kid },
  { weight: 5, arbitrary: constantFrom('parent' as const, 'self' as const, 'peer' as const, 'boss' as const, 'parent' as const) },
  { weight: 1, arbitrary: constantFrom('a' as const, 'b' as const).map((ref) => ({ ref })) },
  { weight: 4, arbitrary: nat(20).map((system) => ({ system: String(system) })) },
)

const op: Arbitrary<Op> = choice(
  { weight: 3, arbitrary: record({ do: constant('add' as const), key, by: integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: record({ do: constant('raise' as const), event }) },
  { weight: 2, arbitrary: record({ do: constant('raise' as const), event, delay, id: rarely(6, timerId) }) as Arbitrary<Op> },
  { weight: 8, arbitrary: record({ do: constant('send' as const), to, event }) },
  { weight: 3, arbitrary: record({ do: constant('send' as const), to, event, delay, id: rarely(6, timerId) }) as Arbitrary<Op> },
  { weight: 1, arbitrary: record({ do: constant('forward' as const), to: kid }) },
  { weight: 2, arbitrary: record({ do: constant('cancel' as const), id: timerId }) },
  {
    weight: 7,
    arbitrary: record({
      do: constant('spawn' as const),
      kid: constantFrom('a' as const, 'b' as const),
      how: constantFrom('spawnChild' as const, 'assign' as const),
    }),
  },
  { weight: 2, arbitrary: record({ do: constant('stop' as const), kid, by: constantFrom('id' as const, 'ref' as const) }) },
  { weight: 1, arbitrary: record({ do: constant('emit' as const) }) },
  { weight: 1, arbitrary: record({ do: constant('log' as const) }) },
  {
    weight: 2,
    arbitrary: record({
      do: constant('throw' as const),
      when: rareThrow,
      where: constantFrom('assign' as const, 'enqueue' as const, 'event' as const),
    }),
  },
) as Arbitrary<Op>
const ops = (maxLength: number): Arbitrary<readonly Op[]> => array(op, { maxLength, size: 'max' })

const transition = record(
  {
    when: rarely(4, condition),
    guardThrows: rarely(1, rarely(2, constant(true))),
    target: rarely(6, nat(30).map(String)),
    reenter: rarely(3, boolean()),
    ops: ops(3),
  },
  { requiredKeys: ['ops'] },
) as Arbitrary<Transition>
const transitions = array(transition, { minLength: 1, maxLength: 2 })
const invoke = record(
  {
    id: constantFrom<InvokedId>('i', 'j'),
    onDone: rarely(7, transition),
    onError: rarely(5, transition),
    onSnapshot: rarely(2, transition),
    inputThrows: rarely(1, rareThrow),
  },
  { requiredKeys: ['id'] },
)

const body = {
  entry: rarely(5, ops(2)),
  exit: rarely(3, ops(2)),
  on: record({ x: rarely(7, transitions), y: rarely(6, transitions), z: rarely(5, transitions) }),
  always: rarely(2, array(transition, { minLength: 1, maxLength: 1 })),
  after: rarely(
    4,
    array(tuple(choice<number | string>({ weight: 6, arbitrary: ms }, { weight: 1, arbitrary: constant('slow') }), transition), {
      minLength: 1,
      maxLength: 2,
    }).map((all) => Object.fromEntries(all)),
  ),
  onDone: rarely(4, transition),
  invoke: rarely(4, array(invoke, { minLength: 1, maxLength: 2 })),
}
const final = record({ type: constant('final' as const), entry: rarely(3, ops(2)) }) as Arbitrary<State>
const atomic = record(body) as Arbitrary<State>
const KEYS = ['p', 'q', 'r'] as const

const FINALS_WITHIN = 6

/** @param finals  how many of twenty states below it are final. */
function compound(depth: number, finals: number): Arbitrary<State> {
  const below = choice({ weight: finals, arbitrary: final }, { weight: 20 - finals, arbitrary: state(depth - 1, FINALS_WITHIN) })
  const inside = tuple(
    state(depth - 1, FINALS_WITHIN),
    array(below, { minLength: 1, maxLength: 2 }),
    rarely(4, constantFrom('shallow', 'deep')),
  )
  return tuple(record(body), inside).map(([own, [first, rest, history]]) => {
    const states: Record<string, State> = Object.fromEntries([first, ...rest].map((each, index) => [KEYS[index], each]))
    if (history !== undefined) states['h'] = { type: 'history', history: history as 'shallow' | 'deep', initial: 'p' }
    return { ...own, initial: 'p', states } as State
  })
}

function parallel(depth: number): Arbitrary<State> {
  return tuple(record(body), compound(depth - 1, FINALS_WITHIN), compound(depth - 1, FINALS_WITHIN)).map(
    ([own, p, q]) => ({ ...own, type: 'parallel', states: { p, q } }) as State,
  )
}

function state(depth: number, finals: number): Arbitrary<State> {
  if (depth <= 0) return atomic
  return choice(
    { weight: 6, arbitrary: atomic },
    { weight: 3, arbitrary: compound(depth, finals) },
    { weight: 2, arbitrary: parallel(depth) },
  )
}

function machine(level: number): Arbitrary<Machine> {
  const below: Arbitrary<Kid | undefined> =
    level === 0
      ? constant(undefined)
      : (rarely(
          level === 2 ? 7 : 4,
          record({
            machine: machine(level - 1),
            system: rarely(4, constant(true)).map((system) => system === true),
            sync: rarely(2, constant(true)).map((sync) => sync === true),
          }),
        ) as never)
  const finals = level === 2 ? 1 : 5
  return record({
    root: choice({ weight: 4, arbitrary: compound(level === 0 ? 1 : 2, finals) }, { weight: 1, arbitrary: parallel(2) }),
    kids: record({ a: below, b: below, i: below, j: below }),
    first: rarely(3, constantFrom('a', 'b')),
    catches: rarely(6, constant(true)),
    outputThrows: rarely(1, rareThrow),
  }).map((drawn) => sane(drawn as never))
}

/** What refers to something that is there, and nothing else. */
function sane(drawn: Machine): Machine {
  const kids = withoutNothing(drawn.kids as Record<string, Kid | undefined>)
  const paths = [...statesOf(drawn.root)].map(([path]) => path)
  const { first, ...rest } = drawn
  const machine = { ...rest, kids, catches: drawn.catches === true, ...(first !== undefined && first in kids ? { first } : {}) }
  const context = { kids, paths }
  return withoutNothing({ ...machine, root: saneState(drawn.root, context, new Set()) }) as unknown as Machine
}

interface Surroundings {
  readonly kids: Readonly<Record<string, unknown>>
  readonly paths: readonly string[]
}

/** @param taken  invokes of states that are active with this one; gets those of this one. */
function saneState(drawn: State, context: Surroundings, taken: Set<string>, path = ''): State {
  if (drawn.type === 'history') return { ...drawn, initial: `${path.slice(0, Math.max(0, path.lastIndexOf('.')))}.p`.replace(/^\./, '') }
  const invoke = (drawn.invoke ?? []).filter(
    ({ id }, index, all) => id in context.kids && !taken.has(id) && all.findIndex((each) => each.id === id) === index,
  )
  const own = new Set([...taken, ...invoke.map(({ id }) => id)])
  const used = new Set(own)
  const states: Record<string, State> = {}
  for (const [key, below] of Object.entries(drawn.states ?? {})) {
    const inside = new Set(drawn.type === 'parallel' ? used : own)
    states[key] = saneState(below, context, inside, path === '' ? key : `${path}.${key}`)
    for (const id of inside) used.add(id)
  }
  for (const id of used) taken.add(id)
  const one = (transition: Transition): Transition => saneTransition(transition, context)
  const many = <T extends object>(list: T | undefined): T | undefined =>
    list === undefined
      ? undefined
      : (Object.fromEntries(
          Object.entries(withoutNothing(list)).map(([name, each]) => [name, Array.isArray(each) ? each.map(one) : one(each as Transition)]),
        ) as T)
  return withoutEmpty({
    ...drawn,
    states: Object.keys(states).length === 0 ? undefined : states,
    entry: saneOps(drawn.entry ?? [], context),
    exit: drawn.exit === undefined ? undefined : saneOps(drawn.exit, context),
    on: many(drawn.on),
    always: drawn.always?.map(one),
    after: many(drawn.after),
    onDone: drawn.onDone === undefined || drawn.states === undefined ? undefined : one(drawn.onDone),
    invoke:
      invoke.length === 0
        ? undefined
        : invoke.map(({ onDone, onError, onSnapshot, ...rest }) =>
            withoutNothing({
              ...rest,
              onDone: onDone && one(onDone),
              onError: onError && one(onError),
              onSnapshot: onSnapshot && one(onSnapshot),
            }),
          ),
  }) as State
}

function saneTransition(drawn: Transition, context: Surroundings): Transition {
  const at = (index: string): string => context.paths[1 + (Number(index) % Math.max(1, context.paths.length - 1))] ?? ''
  const target = drawn.target === undefined ? undefined : at(drawn.target)
  const isHistory = target !== undefined && /(?:^|\.)h$/.test(target)
  return withoutNothing({
    ...drawn,
    target,
    // Without it XState enters the state that it comes from a second time, and has never left it: two children of one id, two timers of one id.
    reenter: isHistory ? true : drawn.reenter,
    when: drawn.when === undefined ? undefined : saneCondition(drawn.when, at),
    ops: saneOps(drawn.ops, context),
  }) as unknown as Transition
}

function saneCondition(drawn: Condition, at: (index: string) => string): Condition {
  if ('in' in drawn) return { in: at(drawn.in) }
  if ('not' in drawn) return { not: saneCondition(drawn.not, at) }
  if ('both' in drawn) return { both: [saneCondition(drawn.both[0], at), saneCondition(drawn.both[1], at)] }
  return drawn
}

function saneOps(drawn: readonly Op[], { kids }: Surroundings): readonly Op[] {
  return drawn.flatMap((each): Op[] => {
    if ('kid' in each && !(each.kid in kids)) return []
    if (each.do === 'forward' && !(each.to in kids)) return []
    if (each.do !== 'send') return [withoutNothing(each) as Op]
    const target = each.to
    const isThere = typeof target === 'object' ? 'system' in target || target.ref in kids : target.length > 1 || target in kids
    return isThere ? [withoutNothing(each) as Op] : []
  })
}

function withoutNothing<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T
}

/** Without what says nothing either. */
function withoutEmpty<T extends object>(value: T): T {
  return Object.fromEntries(
    Object.entries(value).filter(([, each]) => each !== undefined && !(typeof each === 'object' && Object.keys(each).length === 0)),
  ) as T
}

/** System ids are known when the whole tree is: any actor may look up any other. */
function withSystems(drawn: Machine): Machine {
  const systems = [...kidsOf(drawn)].filter(([, kid]) => kid.system).map(([path]) => path)
  const isSystem = (value: unknown): value is Op & { to: { system: string } } =>
    typeof value === 'object' &&
    value !== null &&
    'to' in value &&
    typeof value.to === 'object' &&
    value.to !== null &&
    'system' in value.to
  return JSON.parse(JSON.stringify(drawn), (_, value: unknown) => {
    if (!Array.isArray(value) || !value.some(isSystem)) return value
    const kept = systems.length === 0 ? value.filter((op) => !isSystem(op)) : value
    return kept.map((op) => (isSystem(op) ? { ...op, to: { system: systems[Number(op.to.system) % systems.length] } } : op))
  })
}

/** Machines of three levels. */
export const machines = machine(2).map(withSystems)

export const plays: Arbitrary<readonly Play[]> = array(
  choice(
    {
      weight: 3,
      arbitrary: record({ send: event, to: choice<number>({ weight: 2, arbitrary: constant(0) }, { weight: 1, arbitrary: nat(7) }) }),
    },
    { weight: 2, arbitrary: record({ waitMs: constantFrom(1, 10, 29, 61, 127, 251, 499) }) },
  ),
  { minLength: 3, maxLength: 7, size: 'max' },
)
