/** Seeds that a night has once found something with, and what that was. They are played in every test run. */
import { expect, test } from 'vitest'
import { play, type Size, scenarioOf } from './scenario.ts'

const DENSE: Size = { min: 120, max: 165, gapMs: 500 }
const SPARSE: Size = { min: 120, max: 165, gapMs: 16_000 }

/** A supervisor that crashed although it was told to stop: its children worked on until the last of its siblings had stopped. */
test.for([
  [1_003_306, DENSE],
  [1_003_956, SPARSE],
  [1_004_512, SPARSE],
  [1_005_645, SPARSE],
  [1_006_320, DENSE],
  [1_006_610, SPARSE],
  [1_007_528, SPARSE],
] as const)('children of a supervisor that crashes while it stops end with it (seed %i)', async ([seed, size]) => {
  expect((await play(scenarioOf(seed, size), seed)).failure).toBeNull()
})
