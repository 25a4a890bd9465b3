/** Many coders share one provider that answers 429 beyond so many calls (P21): they spread out, nobody starves, everybody finishes. */
import { expect, test } from 'vitest'
import { type Gates, providerGates } from '../../src/actors/provider-gate.ts'
import { createTroupe } from '../../src/actors/troupe.ts'
import { localEngine } from '../../src/runtime/engines/local.ts'
import { memoryStore } from '../../src/runtime/stores/memory.ts'
import { Chance, type VirtualClock, virtualClock } from '../../src/testing.ts'
import { type Arrival, caller, gatedHandler, toldBy, windowed } from './gated-calls.ts'

const CODERS = 50
const CALLS = 3
const MAX = 10
const WINDOW_MS = 10_000
const CONCURRENCY = 4

/** What came of it: each arrival at the provider, and what each coder ended with. */
interface Played {
  readonly arrivals: readonly Arrival[]
  readonly peak: number
  readonly answers: readonly number[]
  readonly failures: readonly string[]
  /** When each coder had its last answer. */
  readonly finishedAt: readonly number[]
}

type MakeGates = (clock: VirtualClock) => (run: number) => Gates | null
const shared: MakeGates = (clock) => {
  const gates = providerGates({ clock, settings: () => ({ concurrency: CONCURRENCY }) })
  return () => gates
}

/** 50 coders in 5 runs of one process, 3 calls each. @param random  every chance there is. */
async function play(make: MakeGates, random: () => number = chanceOf(7)): Promise<Played> {
  const clock = virtualClock({ random })
  const provider = windowed(clock, { max: MAX, windowMs: WINDOW_MS })
  const gatesOf = make(clock)
  const runs = await Promise.all(
    [0, 1, 2, 3, 4].map(async (run) => {
      const store = memoryStore()
      const troupe = createTroupe({
        engine: localEngine({ store, clock }),
        machines: { caller },
        effects: { 'llm.generate': gatedHandler(provider, gatesOf(run)) },
      })
      const children = Array.from({ length: CODERS / 5 }, (_, n) => ({
        id: `coder${run}${n}`,
        src: 'caller',
        restart: 'transient' as const,
        significant: true,
        input: { name: `coder${run}${n}`, calls: CALLS },
      }))
      const session = await troupe.start({ id: 'top', autoShutdown: 'all_significant', children })
      return { store, run: session.id }
    }),
  )
  await clock.advance(1_500_000)
  const told = runs.flatMap(({ store, run }) => Object.values(toldBy(store, run)))
  const { arrivals } = provider
  const last = new Map(arrivals.map(({ agent, atMs }) => [agent, atMs]))
  return {
    arrivals,
    peak: provider.peak(),
    answers: told.map((words) => words.filter((word) => word.startsWith('to ')).length),
    failures: told.flat().filter((word) => !word.startsWith('to ')),
    finishedAt: [...last.values()],
  }
}

function chanceOf(seed: number): () => number {
  const chance = new Chance(seed)
  return () => chance.next()
}

const perSecond = (arrivals: readonly Arrival[]): number[] => {
  const buckets: number[] = []
  for (const { atMs } of arrivals) buckets[Math.floor(atMs / 1_000)] = (buckets[Math.floor(atMs / 1_000)] ?? 0) + 1
  return Array.from(buckets, (count) => count ?? 0)
}
/** One line for ten seconds: how many came in each of them. */
const histogram = (arrivals: readonly Arrival[]): string =>
  perSecond(arrivals)
    .reduce<number[][]>((rows, count, second) => {
      if (second % 10 === 0) rows.push([])
      rows.at(-1)!.push(count)
      return rows
    }, [])
    .map((row, n) => `${String(n * 10).padStart(4)} s  ${row.map((count) => String(count).padStart(3)).join('')}`)
    .join('\n')

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!
const gaps = (arrivals: readonly Arrival[]): number[] => arrivals.slice(1).map(({ atMs }, n) => atMs - arrivals[n]!.atMs)
const afterFirstLimit = (arrivals: readonly Arrival[]): Arrival[] =>
  arrivals.slice(arrivals.findIndex(({ isRefused }) => isRefused) + CONCURRENCY)

/** How much a gap differs from the one before, as part of a gap: chance makes it so, a beat does not. */
function jitter(arrivals: readonly Arrival[]): number {
  const between = gaps(arrivals)
  return median(between.slice(1).map((gap, n) => Math.abs(gap - between[n]!))) / median(between)
}

/** How far apart the coders are at any time, in answers. */
function spread(arrivals: readonly Arrival[]): number {
  const answered = new Map<string, number>()
  for (const { agent } of arrivals) answered.set(agent, 0)
  let most = 0
  for (const { agent, isRefused } of arrivals) {
    if (!isRefused) answered.set(agent, answered.get(agent)! + 1)
    const counts = [...answered.values()]
    most = Math.max(most, Math.max(...counts) - Math.min(...counts))
  }
  return most
}

test('P21: 50 coders that share a provider with 10 calls in 10 s spread out: no herd after a limit, nobody starves, everybody finishes', async () => {
  const { arrivals, peak, answers, failures, finishedAt } = await play(shared)
  const refused = arrivals.filter(({ isRefused }) => isRefused).length
  const later = afterFirstLimit(arrivals)
  const figures = {
    arrivals: arrivals.length,
    refused,
    medianGapMs: median(gaps(later)),
    mostInASecond: Math.max(...perSecond(later)),
    peak,
    lastMs: Math.max(...finishedAt),
    jitter: Number(jitter(later).toFixed(3)),
    spread: spread(arrivals),
  }
  process.stdout.write(`${JSON.stringify(figures)}\n${histogram(arrivals)}\n`)
  expect([answers, failures]).toEqual([Array(CODERS).fill(CALLS), []])
  expect(peak).toBeLessThanOrEqual(CONCURRENCY)
  expect(Math.max(...perSecond(later)), 'calls in one second, once its limit is known').toBeLessThanOrEqual(3)
  expect(figures.medianGapMs, 'block/buzz#5557: 0.0000 s').toBeGreaterThan(800)
  expect(figures.jitter, 'starts are spread by chance, not by a beat').toBeGreaterThan(0.08)
  expect(refused / arrivals.length).toBeLessThan(0.15)
  expect(figures.spread, 'nobody is two answers ahead of anybody').toBeLessThanOrEqual(2)
  // 150 calls at 10 in 10 s take 140 s at best.
  expect(figures.lastMs).toBeLessThan(250_000)
}, 60_000)

test('the same measures see the herd where each coder is for itself', async () => {
  const { arrivals, failures, peak } = await play(() => () => null)
  process.stdout.write(`without a gate\n${histogram(arrivals)}\n`)
  const later = afterFirstLimit(arrivals)
  expect([Math.max(...perSecond(later)) > 30, median(gaps(later)) < 20, peak > 40, failures.length > 50]).toEqual([true, true, true, true])
}, 60_000)

test('the same measures see five gates that should be one, and a gate without jitter', async () => {
  const apart = await play((clock) => {
    const gates = [0, 1, 2, 3, 4].map(() => providerGates({ clock, settings: () => ({ concurrency: CONCURRENCY }) }))
    return (run) => gates[run]!
  })
  expect(apart.peak).toBeGreaterThan(CONCURRENCY)
  const beat = await play(shared, () => 0.5)
  const later = afterFirstLimit(beat.arrivals)
  expect(jitter(later)).toBeLessThan(0.04)
}, 60_000)
