/**
 * The killing loop in process: a store that throws before or after its Nth commit, and from then on for ever, stands for a process that died there.
 * Every commit point of the run is swept with each step in a commit of its own, so what holds here holds between any two steps.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { KillPoint } from './killing-store.ts'
import { survive } from './lives.ts'
import { EXPECTED } from './world.ts'

const base = mkdtempSync(join(tmpdir(), 'troupe-kill-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))
let folders = 0
const folder = (): string => join(base, String(++folders))

test('an undisturbed run ends with everything it was sent, one restart included', async () => {
  const { output, restarts, found } = await survive({ folder: folder(), points: [] })
  expect({ output, restarts }).toEqual({ output: EXPECTED, restarts: 1 })
  expect(found).toEqual({ lost: [], doubled: [], repeated: 0, inDoubt: [] })
})

const EVERY = process.env['TROUPE_NIGHTLY'] ? 1 : 10

test.for([
  { turnStepsMax: 256, every: 1 },
  { turnStepsMax: 1, every: EVERY },
])(
  'a run that dies before or after any of its commits ends as if it had not ($turnStepsMax steps a commit)',
  { timeout: 900_000 },
  async ({ turnStepsMax, every }) => {
    const { commits } = await survive({ folder: folder(), points: [], turnStepsMax })
    const points: KillPoint[] = []
    for (let commit = 1; commit <= commits; commit += 1) for (const when of ['before', 'after'] as const) points.push({ commit, when })
    const sample = points.filter((_, index) => index % every === 0)
    let repeated = 0
    for (const point of sample) {
      const { output, found } = await survive({ folder: folder(), points: [point], turnStepsMax })
      expect({ point, output, lost: found.lost, doubled: found.doubled }).toEqual({ point, output: EXPECTED, lost: [], doubled: [] })
      repeated += found.repeated
    }
    process.stderr.write(
      `in-process sweep, ${turnStepsMax} steps a commit: ${sample.length} of ${points.length} kill points, ${repeated} effects repeated by policy, 0 lost, 0 doubled\n`,
    )
  },
)

test('a run that dies again and again, also while it recovers, ends as if it had not', { timeout: 120_000 }, async () => {
  const points = [3, 1, 1, 2, 4, 9, 1, 7, 2, 20].map((commit, index): KillPoint => ({ commit, when: index % 2 === 0 ? 'after' : 'before' }))
  const { output, found, lives } = await survive({ folder: folder(), points, turnStepsMax: 1 })
  expect({ output, lost: found.lost, doubled: found.doubled, lives }).toEqual({ output: EXPECTED, lost: [], doubled: [], lives: 11 })
})
