/**
 * Random lives under a supervisor, in virtual time: crashes, clean ends, starts that fail or hang, slow stops, pauses, with or without a shutdown.
 * The limit is checked against the orders as they were given, by counting and not by the window that the machine keeps.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CRASH, FakeCells, KILLED, NORMAL, ORDERED, type Start } from './fake-cells.ts'

const RUNS = 500
const IDS = ['a', 'b', 'c', 'd'] as const
const STARTS: readonly Start[] = ['run', 'fail', 'hang', 'decline', CRASH, NORMAL]

const start = fc.constantFrom(...STARTS)
const moves = fc.array(
  fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({
        move: fc.constant('end' as const),
        id: fc.constantFrom(...IDS),
        reason: fc.constantFrom(CRASH, KILLED, NORMAL, ORDERED),
      }),
    },
    { weight: 3, arbitrary: fc.record({ move: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 150 }) }) },
    { weight: 2, arbitrary: fc.record({ move: fc.constant('will' as const), id: fc.constantFrom(...IDS), start }) },
    {
      weight: 2,
      arbitrary: fc.record({
        move: fc.constant('answer' as const),
        id: fc.constantFrom(...IDS),
        start: fc.constantFrom('run', 'fail', 'decline', CRASH),
      }),
    },
  ),
  { maxLength: 60 },
)
const child = fc.record({
  restart: fc.constantFrom('permanent', 'permanent', 'transient', 'temporary'),
  shutdownMs: fc.constantFrom('brutal', 0, 20, 5000),
  start: fc.oneof({ weight: 30, arbitrary: fc.constant<Start>('run') }, { weight: 1, arbitrary: start }),
  cleanUpMs: fc.constantFrom(0, 0, 10, 50, Infinity),
})
const scene = fc.record({
  intensity: fc.integer({ min: 0, max: 6 }),
  periodMs: fc.integer({ min: 1, max: 200 }),
  children: fc.array(child, { minLength: 1, maxLength: IDS.length }),
  unreadyEnd: fc.constantFrom('cell.start_failed' as const, 'cell.exited' as const),
  moves,
})
type Scene = typeof scene extends fc.Arbitrary<infer T> ? T : never

function play({ intensity, periodMs, children, unreadyEnd, moves }: Scene): FakeCells {
  const specs = children.map(({ restart, shutdownMs }, index) => ({ id: IDS[index]!, src: 'worker', restart, shutdownMs }))
  const workers = Object.fromEntries(children.map(({ start, cleanUpMs }, index) => [IDS[index]!, { start, cleanUpMs }]))
  const cells = new FakeCells({ id: 'team', intensity, periodMs, children: specs } as { id: string }, workers)
  cells.unreadyEnd = unreadyEnd
  for (const move of moves) {
    if (cells.exit !== null) break
    if (move.move === 'wait') cells.advance(move.ms)
    else if (move.move === 'will') cells.workers[move.id] = { ...cells.workers[move.id], start: move.start }
    else if (move.move === 'answer' && cells.isStarting(`/team/${move.id}`))
      cells.answer(`/team/${move.id}`, move.start as Exclude<Start, 'hang'>)
    else if (move.move === 'end' && cells.isLiving(`/team/${move.id}`)) cells.end(`/team/${move.id}`, move.reason)
  }
  return cells
}

/** The most restarts that any stretch of the period's length holds, its ends included. */
function mostWithin(times: readonly number[], periodMs: number): number {
  return Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at - from <= periodMs).length))
}

const restartTimes = (cells: FakeCells) => cells.orders.flatMap(({ at, order }) => (order.type === 'cell.restart' ? [at] : []))

test('SUP-43 to SUP-49: no period ever holds more restarts than the intensity, and a supervisor gives up only when the next would be one too many', () => {
  const seen = { restarts: 0, gaveUp: 0 }
  fc.assert(
    fc.property(scene, (given) => {
      const cells = play(given)
      seen.restarts += restartTimes(cells).length
      seen.gaveUp += cells.emitted.length
      const times = restartTimes(cells)
      // What was put off until all had started keeps the time of its end: then orders lie later than what they count as.
      fc.pre(cells.deferrals === 0)
      expect(mostWithin(times, given.periodMs)).toBeLessThanOrEqual(given.intensity)
      for (const { at } of cells.emitted) {
        expect(times.filter((time) => at - time <= given.periodMs)).toHaveLength(given.intensity)
      }
    }),
    { numRuns: RUNS },
  )
  expect({ restarts: seen.restarts > 100, gaveUp: seen.gaveUp > 20 }, 'the scenes are too tame to tell').toEqual({
    restarts: true,
    gaveUp: true,
  })
})

test('SUP-21 SUP-69 SUP-71: whatever happened before, a supervisor that is told to stop ends, last child first, and leaves nobody', () => {
  fc.assert(
    fc.property(scene, (given) => {
      const cells = play(given)
      const ordered = cells.exit === null && cells.emitted.length === 0 && cells.state().value !== 'unwinding'
      const before = cells.orders.length
      if (cells.exit === null) cells.shutdown()
      cells.advance(IDS.length * 5000)
      expect(cells.living()).toEqual([])
      expect(cells.state().status).toBe('done')
      if (!ordered) return
      expect(cells.exit).toEqual(ORDERED)
      const stops = cells.orders.slice(before).map(({ order }) => order)
      expect(stops.filter(({ type }) => type !== 'cell.stop' && type !== 'cell.kill')).toEqual([])
      expect(stops.map(({ params }) => params.id)).toEqual(
        stops
          .map(({ params }) => params.id)
          .sort()
          .reverse(),
      )
    }),
    { numRuns: RUNS },
  )
})
