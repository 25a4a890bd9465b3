/**
 * The demo's team is killed at its commit points and at random milliseconds, and resumed until it is done. `npm test` takes a sample;
 * `npm run test:nightly` kills a real process at every commit point, before and after, and at 100 random milliseconds.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { KillPoint } from './killing-store.ts'
import { type TeamSurvival, teamLife, teamSurvives } from './team-lives.ts'

const NIGHTLY = process.env['TROUPE_NIGHTLY'] !== undefined
const base = mkdtempSync(join(tmpdir(), 'troupe-team-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))
const CHILD = new URL('./team.child.ts', import.meta.url).pathname
let folders = 0
const folder = (): string => join(base, String(++folders))

let undisturbed: TeamSurvival
beforeAll(async () => {
  undisturbed = await teamLife(folder(), null)
}, 60_000)

/** What must be the same however often the team was killed. */
const essence = ({ status, files, found, left }: TeamSurvival) => ({
  status,
  files,
  lost: found.lost,
  doubled: found.doubled,
  inDoubt: found.inDoubt,
  left,
})
const expected = () => ({ status: 'succeeded', files: undisturbed.files, lost: [], doubled: [], inDoubt: [], left: 0 })

function points(commits: number): KillPoint[] {
  return Array.from({ length: commits }, (_, index) => index + 1).flatMap((commit) => [
    { commit, when: 'before' } as const,
    { commit, when: 'after' } as const,
  ])
}

test('the undisturbed team promotes a repaired repository', () => {
  expect(essence(undisturbed)).toEqual(expected())
  expect(undisturbed.output).toMatchObject({ status: 'done', verification: { level: 'verified' } })
})

test('AC2: the team resumes after a crash at a commit point and ends with the same files (in process)', { timeout: 600_000 }, async () => {
  const all = points(undisturbed.commits)
  const every = NIGHTLY ? 1 : Math.ceil(all.length / 6)
  const sample = all.filter((_, index) => index % every === 3 % every)
  let repeated = 0
  for (const point of sample) {
    const survival = await teamSurvives(folder(), [point])
    expect({ point, ...essence(survival) }).toEqual({ point, ...expected() })
    repeated += survival.found.repeated
  }
  process.stderr.write(`team, in process: ${sample.length} of ${all.length} kill points, ${repeated} effects repeated by policy\n`)
})

/** A real process with a real SIGKILL: its own at a commit point, ours after so many milliseconds. Null when it was killed. */
async function life(where: string, point: KillPoint | null, afterMs: number | null): Promise<TeamSurvival | null> {
  const args = point === null ? [] : [String(point.commit), point.when]
  const child = spawn(process.execPath, ['--no-warnings', CHILD, where, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  child.stdout.on('data', (chunk: Buffer) => {
    if (out === '' && afterMs !== null) setTimeout(() => child.kill('SIGKILL'), afterMs)
    out += chunk.toString()
  })
  const signal = await new Promise<string | null>((resolve) => child.once('close', (_, by) => resolve(by)))
  const result = /^result (.*)$/m.exec(out)?.[1]
  if (result === undefined && signal !== 'SIGKILL')
    throw new Error(`a life ended badly at ${JSON.stringify(point)} in ${where}:\n${err || out}`)
  return result === undefined ? null : JSON.parse(result)
}

test('the team ends with the same files when its process is really killed', { timeout: 3_600_000 }, async () => {
  const all = points(undisturbed.commits)
  const chosen = NIGHTLY ? all : all.filter((_, index) => index % Math.ceil(all.length / 2) === 7)
  const began = performance.now()
  await life(folder(), null, null)
  const lifeMs = performance.now() - began
  const counted = { points: 0, random: 0, repeated: 0 }
  /** Returns whether the first life was killed. */
  const die = async (point: KillPoint | null, afterMs: number | null): Promise<boolean> => {
    const where = folder()
    const first = await life(where, point, afterMs)
    const survival = first ?? (await life(where, null, null))
    expect({ point, afterMs, ...essence(survival!) }).toEqual({ point, afterMs, ...expected() })
    counted.repeated += survival!.found.repeated
    return first === null
  }
  for (const point of chosen) if (await die(point, null)) counted.points++
  // Spread over the life of a process by the golden ratio; one that has ended by then does not count.
  for (let index = 1; counted.random < (NIGHTLY ? 100 : 1); index++) {
    if (await die(null, Math.round(((index * 0.618_034) % 1) * lifeMs))) counted.random++
  }
  process.stderr.write(
    `team, real SIGKILL: ${counted.points} of ${all.length} commit points and ${counted.random} random milliseconds; ` +
      `${counted.repeated} effects repeated by policy, 0 lost, 0 doubled, 0 processes left\n`,
  )
})
