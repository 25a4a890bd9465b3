/**
 * Any machine takes the same states as under `createActor`, also when its process is killed and the tree rehydrated between any two events.
 *
 * fast-check draws machines and what is played to them. After every event and every wait, all actors are compared: who lives, in which state, with which
 * context and history; who has ended, with which output or error; what was emitted and what was handled, in which order. A failure prints a seed and the
 * smallest machine that shows it, as a literal for {@link ./build.ts}. What is not compared, and why: {@link ./oracle.ts} and {@link ./build.ts}.
 */
import { assert, asyncProperty, nat, pre, record, uniqueArray } from 'fast-check'
import { beforeEach, expect, test, vi } from 'vitest'
import { build } from './build.ts'
import { type Case, type Dying, diesBefore, expectSame } from './case.ts'
import { machines, plays } from './draw.ts'
import { Features } from './features.ts'
import { folderForLives, underTroupe } from './hosted.ts'
import { underCreateActor } from './oracle.ts'

// XState's development build warns of mail to stopped actors, which random trees send.
beforeEach(() => void vi.spyOn(console, 'warn').mockReturnValue())

const NIGHTLY = process.env['TROUPE_NIGHTLY'] !== undefined
/** The same cases each time, so that a change is judged by what it changes; at night new ones are looked for. */
const SEED = process.env['TROUPE_SEED'] ?? (NIGHTLY ? undefined : '20261')

const SHAPES = [
  { turnStepsMax: 256, often: 'now and then', cases: 170, nightParts: 12, plainly: true },
  { turnStepsMax: 1, often: 'now and then', cases: 60, nightParts: 4, plainly: true },
  { turnStepsMax: 256, often: 'before every event', cases: 50, nightParts: 3, plainly: false },
  { turnStepsMax: 1, often: 'before every event', cases: 20, nightParts: 1, plainly: false },
] as const
/** 10,000 at night, in parts: what a test opens is let go of when it ends, and thousands of lives do not fit into one memory. */
const PART_CASES = 500
const partsOf = ({ cases, nightParts, ...shape }: (typeof SHAPES)[number]) =>
  NIGHTLY
    ? Array.from({ length: nightParts }, (_, index) => ({ ...shape, numRuns: PART_CASES, part: `, part ${index + 1}` }))
    : [{ ...shape, numRuns: cases, part: '' }]

test.each(SHAPES.flatMap(partsOf))(
  'machines take the same states as under createActor, killed $often ($turnStepsMax steps a commit$part)',
  { timeout: 3_600_000 },
  async ({ turnStepsMax, often, numRuns, plainly }) => {
    const folder = folderForLives()
    const features = new Features()
    const seed = SEED === undefined ? {} : { seed: Number(SEED) }
    await assert(
      asyncProperty(record({ machine: machines, plays, kills: uniqueArray(nat(6), { minLength: 1, maxLength: 2 }) }), async (drawn) => {
        const oracle = oracleOf(drawn)
        features.skipped(typeof oracle === 'string' ? oracle : null)
        pre(typeof oracle !== 'string')
        if (typeof oracle === 'string') return
        const dying: Dying = often === 'now and then' ? drawn.kills : 'always'
        if (plainly && (NIGHTLY || drawn.kills.length === 1)) expectSame(drawn, await hosted(drawn, folder, turnStepsMax, []), oracle)
        expectSame(drawn, await hosted(drawn, folder, turnStepsMax, dying), oracle)
        features.seen(drawn.machine, oracle, dying, drawn.plays.length)
      }),
      { numRuns, maxSkipsPerRun: 20, ...seed },
    )
    process.stderr.write(`differential, ${turnStepsMax} steps a commit, killed ${often}: ${features.text()}\n`)
    if (numRuns > 100) expect({ missing: features.missing() }).toEqual({ missing: [] })
  },
)

function oracleOf({ machine, plays: script }: Case): ReturnType<typeof underCreateActor> {
  const trace: string[] = []
  return underCreateActor(build(machine, trace), trace, script)
}

function hosted({ machine, plays: script }: Case, folder: string, turnStepsMax: number, dying: Dying): ReturnType<typeof underTroupe> {
  const trace: string[] = []
  return underTroupe(build(machine, trace), trace, script, { folder, turnStepsMax, diesBefore: diesBefore(dying) })
}
