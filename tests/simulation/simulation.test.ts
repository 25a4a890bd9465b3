/**
 * Whatever crashes, dies, fails or is slow: no invariant is broken, and every run ends within its bound once faults have stopped.
 *
 * A seed gives a tree, what is sent to it, and all faults (scenario.ts). In every test run the same 500 seeds; at night 10,000 from another place, in parts, half of
 * them with long pauses, a thousand simulated hours together. TROUPE_SEED=n plays that one seed alone, with the size of the first part.
 */
import { expect, test } from 'vitest'
import { play, type Size, scenarioOf } from './scenario.ts'
import { storyOf, Totals } from './totals.ts'

const NIGHTLY = process.env['TROUPE_NIGHTLY'] !== undefined
const SEED = process.env['TROUPE_SEED']
const DENSE: Size = { min: 120, max: 165, gapMs: 500 }
const SPARSE: Size = { min: 120, max: 165, gapMs: 16_000 }
const PART_SEEDS = 500
const PARTS = NIGHTLY ? 20 : 1

const parts = Array.from({ length: PARTS }, (_, part) => ({
  part: part + 1,
  first: (NIGHTLY ? 1_000_000 : 1) + part * PART_SEEDS,
  size: part % 2 === 0 ? DENSE : SPARSE,
}))
const all = new Totals()

async function playSeeds(first: number, count: number, size: Size): Promise<Totals> {
  const totals = new Totals()
  for (let seed = first; seed < first + count; seed++) {
    const report = await play(scenarioOf(seed, size), seed)
    if (report.failure !== null) throw new Error(await storyOf(seed, size, report))
    totals.add(report)
    all.add(report)
  }
  return totals
}

test.skipIf(SEED !== undefined).for(parts)(
  'no fault breaks an invariant, and every run ends within its bound (part $part)',
  { timeout: 3_600_000 },
  async ({ part, first, size }) => {
    const totals = await playSeeds(first, PART_SEEDS, size)
    process.stderr.write(`simulation, part ${part} of ${PARTS}, seeds from ${first}: ${totals.text()}\n`)
    const { seeds, accepted, deaths, failedCommits, crashes, restarts } = totals.counts
    // That much has happened, so that much has been survived.
    expect({ seeds, manyAccepted: accepted >= 50_000 || NIGHTLY }).toEqual({ seeds: PART_SEEDS, manyAccepted: true })
    expect(Math.min(deaths, failedCommits, crashes, restarts)).toBeGreaterThan(100)
  },
)

test.runIf(NIGHTLY && SEED === undefined)('a night plays 10,000 seeds and a thousand simulated hours', () => {
  process.stderr.write(`simulation, the night: ${all.text()}\n`)
  expect({ seeds: all.counts.seeds, enoughHours: all.hours >= 1_000 }).toEqual({ seeds: 10_000, enoughHours: true })
})

test.runIf(SEED !== undefined)('one seed alone', { timeout: 600_000 }, async () => {
  const totals = await playSeeds(Number(SEED), 1, DENSE)
  process.stderr.write(`simulation, seed ${SEED}: ${totals.text()}\n`)
  expect(totals.counts.seeds).toBe(1)
})

test('the same seed gives the same journal, byte for byte, whatever has died in between', { timeout: 600_000 }, async () => {
  let deaths = 0
  for (let seed = 1; seed <= (NIGHTLY ? 500 : 12); seed++) {
    const [once, again] = [await play(scenarioOf(seed, DENSE), seed), await play(scenarioOf(seed, DENSE), seed)]
    expect(Buffer.from(again.journal).equals(Buffer.from(once.journal))).toBe(true)
    const { ended: _, ...counts } = once
    expect(again).toMatchObject(counts)
    deaths += once.deaths
  }
  expect(deaths).toBeGreaterThan(5)
})

test('another seed gives another journal', async () => {
  const scenario = scenarioOf(1, DENSE)
  const faults = { ...scenario.faults, crashActor: 0.05 }
  const [one, other] = [await play({ ...scenario, faults }, 1), await play({ ...scenario, faults }, 2)]
  expect(other.journal === one.journal).toBe(false)
})
