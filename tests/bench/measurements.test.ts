/** Every measurement runs, small, and gives the figures that docs/benchmarks.md tells of, each beside its goal. No figure's value is asked for. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { Goal } from '../../bench/figure.ts'
import { read } from '../../bench/measurements/watchers.ts'
import { MEASUREMENTS } from '../../bench/suite.ts'
import type { Frame } from '../../src/runtime/engine.ts'

const base = mkdtempSync(join(tmpdir(), 'troupe-bench-test-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))

const SMALL = { scale: 0.004, rounds: 1 }
/** Where 0.004 of the usual number would be too few, or too many. */
const ACTORS: Readonly<Record<string, number>> = { idle: 100, resume: 5, million: 9 }

const goalText = (goal: Goal | null): string => (goal === null ? '' : ` [${goal.at} ${goal.value}]`)

/** Goals by measurement, in the order of their figures. */
const GOALS: Readonly<Record<string, readonly string[]>> = {
  steps: Array.from({ length: 3 }, () => ['engine to raw [least 0.7]', "the engine's own processor time a step [most 25]"]).flat(),
  plain: [],
  conversation: ['threaded', 'listed'].flatMap(() => [
    'payload a step [most 4096]',
    'log a step [most 24576]',
    'payload a step [most 4096]',
    'log a step [most 16384]',
  ]),
  pool: [
    'many to few, time [most 1.5]',
    'many to few, processor [most 1.5]',
    'many to few, time [most 1.5]',
    'many to few, processor [most 1.5]',
  ],
  idle: ['an actor, 10 to 20 [most 300]', 'an actor, 20 to 100 [most 300]', 'an actor, 10 to 100, each woken once [most 300]'],
  resume: [...Array.from({ length: 3 }, () => 'first answer, from before the open [most 100]'), 'longest history to shortest [most 1.5]'],
  watchers: Array.from({ length: 4 }, () => 'speed beside nobody [least 0.95]'),
  fairness: [],
  supervised: ['to that of the fewest [most 1.5]', 'crash to that of the fewest [most 1.5]'],
  calls: ['added to a call, median [most 2]'],
  million: ['first answer, from before the open [most 100]', 'first answer, from before the open [most 100]'],
}

test.each(MEASUREMENTS.map((each) => [each.name, each] as const))(
  '%s runs, and gives figures beside its goals',
  async (name, measurement) => {
    const folder = mkdtempSync(join(base, `${name}-`))
    const cases = await measurement.run({ folder, ...SMALL, actors: ACTORS[name] ?? null })
    const figures = cases.flatMap((each) => each.figures)
    expect(figures.filter(({ goal }) => goal !== null).map((each) => `${each.name}${goalText(each.goal)}`)).toEqual(GOALS[name])
    expect(figures.filter(({ value, min, max }) => ![value, min, max].every(Number.isFinite))).toEqual([])
    expect(new Set(cases.map((each) => each.name)).size).toBe(cases.length)
  },
)

test('a watcher that misses a fact without being told stops the benchmark', async () => {
  const frame = (pos: number | null, type = 'step.committed', data = {}): Frame => ({
    v: 1,
    pos,
    at: '',
    run: 'r',
    type,
    path: null,
    inc: null,
    cause: null,
    data,
  })
  const told = [frame(1), frame(null, 'live.gap', { from: 2, to: 4, missed: 3 }), frame(5)]
  const seen = async (frames: readonly Frame[]) => read(streamOf(frames), { since: 0, isSlow: false, over: new AbortController().signal })
  await expect(seen(told)).resolves.toEqual({ seen: 2, missed: 3 })
  await expect(seen([frame(1), frame(5)])).rejects.toThrow('a watcher saw 5 after 1, and nobody told it of a gap')
})

async function* streamOf(frames: readonly Frame[]): AsyncGenerator<Frame> {
  yield* frames
}
