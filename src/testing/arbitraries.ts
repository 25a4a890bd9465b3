/**
 * Random trees and events for fast-check, an entry of its own (`troupe/testing/arbitraries`), so that only those who use it need fast-check.
 *
 *   trees({ workers: ['worker'] })                        a supervisor over workers and supervisors, all flags drawn
 *   eventsFor(tree, { event: constantFrom({ type: 'go' }) })   what is sent to its workers, and when
 *
 * What is drawn shrinks: a failing simulation comes down to a small tree and few events.
 */
import { type Arbitrary, array, boolean, constant, constantFrom, integer, oneof, option, record, tuple } from 'fast-check'
import type { ChildSpec, Restart, StaticSupervisorSpec, Strategy, SupervisorSpec, TreeSpec } from '../protocol.ts'
import type { EventData } from '../runtime/cell.ts'
import type { SimulatedEvent } from './simulate.ts'

export interface TreeOptions {
  /** Names of machines, as `src`. */
  readonly workers: readonly string[]
  /** Inputs of workers. Default: none. */
  readonly input?: Arbitrary<ChildSpec['input']>
  /** Supervisors below one another, the root not counted. Default 2. */
  readonly depth?: number
  /** Children of one supervisor, at most. Default 4. */
  readonly childrenMax?: number
  readonly strategies?: readonly Strategy[]
  /** Whether supervisors of one template are drawn. Default true. */
  readonly dynamic?: boolean
  /** Whether waits before restarts are drawn. Default true. */
  readonly backoff?: boolean
}

const STRATEGIES: readonly Strategy[] = ['one_for_one', 'one_for_all', 'rest_for_one']
/** Mostly permanent: a branch that is gone is not tested any more. */
const restarts: Arbitrary<Restart> = oneof(
  { weight: 6, arbitrary: constant('permanent' as const) },
  { weight: 2, arbitrary: constant('transient' as const) },
  { weight: 1, arbitrary: constant('temporary' as const) },
)

/** A tree `root`. It has much patience; the supervisors below have little. */
export function trees(options: TreeOptions): Arbitrary<TreeSpec> {
  return supervisorBelow(options, options.depth ?? 2).map(({ strategy, autoShutdown, children }) => {
    return { id: 'root', intensity: 60, periodMs: 20_000, strategy, autoShutdown, children } as TreeSpec
  })
}

function supervisorBelow(options: TreeOptions, depth: number): Arbitrary<StaticSupervisorSpec> {
  const { childrenMax = 4 } = options
  const worker = { weight: 4, arbitrary: workers(options) }
  const below = depth === 0 ? [] : [{ weight: 2, arbitrary: supervisorBelow(options, depth - 1) }]
  const pool = (options.dynamic ?? true) ? [{ weight: 1, arbitrary: pools(options) }] : []
  return tuple(
    flags(options),
    constantFrom(...(options.strategies ?? STRATEGIES)),
    constantFrom('never' as const, 'never' as const, 'never' as const, 'any_significant' as const, 'all_significant' as const),
    array(oneof(worker, ...below, ...pool) as Arbitrary<ChildSpec | SupervisorSpec>, {
      minLength: 1,
      maxLength: childrenMax,
    }),
  ).map(([own, strategy, autoShutdown, children]) => ({
    ...own,
    strategy,
    autoShutdown,
    children: numbered(children, autoShutdown !== 'never'),
  }))
}

/** Ids by place; `significant` only where it is allowed. */
function numbered(children: readonly (ChildSpec | SupervisorSpec)[], canBe: boolean): (ChildSpec | SupervisorSpec)[] {
  return children.map((child, index) => {
    const isAllowed = canBe && (child.restart ?? 'permanent') !== 'permanent'
    return { ...child, id: `${child.id}${index}`, significant: isAllowed && child.significant === true }
  })
}

function flags({ backoff = true }: TreeOptions): Arbitrary<Omit<StaticSupervisorSpec, 'children'>> {
  const waits = backoff
    ? option(
        integer({ min: 1, max: 50 }).map((baseMs) => ({ baseMs, maxMs: 4 * baseMs })),
        { nil: undefined },
      )
    : constant(undefined)
  return record({
    id: constant('s'),
    intensity: integer({ min: 0, max: 4 }),
    // Long enough for the longest waits before all restarts that are allowed.
    periodMs: integer({ min: 2_000, max: 20_000 }),
    backoff: waits,
    restart: restarts,
    significant: boolean(),
  }).map(({ backoff: wait, ...own }) => (wait === undefined ? own : { ...own, backoff: wait }))
}

function workers({ workers: sources, input }: TreeOptions): Arbitrary<ChildSpec> {
  return record({
    id: constant('w'),
    src: constantFrom(...sources),
    restart: restarts,
    from: constantFrom('initial' as const, 'checkpoint' as const),
    shutdownMs: oneof(constant('brutal' as const), integer({ min: 0, max: 1_000 })),
    significant: boolean(),
    input: input ?? constant(undefined),
  }).map(({ input: given, ...spec }) => (given === undefined ? spec : { ...spec, input: given }))
}

function pools(options: TreeOptions): Arbitrary<SupervisorSpec> {
  return tuple(flags(options), workers(options)).map(([own, { id: _id, significant: _significant, ...template }]) => ({
    ...own,
    id: 'pool',
    dynamic: template,
  }))
}

/** Addresses in a tree: of workers, of supervisors with a list of children, of those with a template. */
export interface Places {
  readonly workers: readonly string[]
  readonly supervisors: readonly string[]
  readonly pools: readonly string[]
}

/** Where one can send to in this tree. Children of pools have the ids that they are started with. */
export function placesIn(tree: SupervisorSpec, above = ''): Places {
  const address = `${above}/${tree.id}`
  if (tree.children === undefined) return { workers: [], supervisors: [], pools: [address] }
  const below = tree.children.map((child) =>
    'src' in child ? { workers: [`${address}/${child.id}`], supervisors: [], pools: [] } : placesIn(child, address),
  )
  return {
    workers: below.flatMap((places) => places.workers),
    supervisors: [address, ...below.flatMap((places) => places.supervisors)],
    pools: below.flatMap((places) => places.pools),
  }
}

export interface EventOptions {
  /** What is sent; may depend on all addresses, for actors that are to talk to each other. */
  readonly event: (places: Places) => Arbitrary<EventData>
  readonly min: number
  readonly max: number
  /** Longest pause between two, milliseconds. Default 500. */
  readonly gapMs?: number
}

/** Events for the workers of a tree, and starts and workers of its pools. */
export function eventsFor(tree: SupervisorSpec, { event, min, max, gapMs = 500 }: EventOptions): Arbitrary<SimulatedEvent[]> {
  const places = placesIn(tree)
  const pooled = places.pools.flatMap((pool) => POOLED.map((id) => `${pool}/${id}`))
  const addresses = [...places.workers, ...pooled]
  const toWorker = tuple(constantFrom(...(addresses.length === 0 ? [`/${tree.id}`] : addresses)), event(places))
  const sent =
    places.pools.length === 0 ? toWorker : oneof({ weight: 4, arbitrary: toWorker }, { weight: 1, arbitrary: startsIn(places.pools) })
  const gap = oneof({ weight: 3, arbitrary: integer({ min: 0, max: gapMs }) }, { weight: 1, arbitrary: constant(0) })
  const one = tuple(sent, gap).map(([[to, what], afterMs]) => ({ to, event: what, afterMs }))
  return array(one, { minLength: min, maxLength: max, size: 'max' })
}

function startsIn(pools: readonly string[]): Arbitrary<[string, EventData]> {
  return tuple(
    constantFrom(...pools),
    constantFrom(...POOLED).map((id): EventData => ({ type: 'child.start', id })),
  )
}

const POOLED = ['p0', 'p1', 'p2']
