/** The killing loop with real processes and real SIGKILL: at commit points and at random milliseconds, over and over until a life ends by itself. */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { strays } from '../../src/actors/reaper.ts'
import { EXPECTED } from './world.ts'

const base = mkdtempSync(join(tmpdir(), 'troupe-processes-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))
const CHILD = new URL('./world.child.ts', import.meta.url).pathname
const KILLS = process.env['TROUPE_NIGHTLY'] ? 1_000 : 8

interface Life {
  readonly killed: boolean
  /** Processes of earlier lives that were alive when this one began to work. */
  readonly strays: number
  readonly result: {
    output: unknown
    found: { lost: string[]; doubled: string[]; repeated: number; inDoubt: string[] }
    left: number
    commits: number
  } | null
}

/** When to kill: so long after the process is ready, as soon as a command of its run is at work, or never. */
type Death = number | 'at work' | null

async function live(folder: string, args: readonly string[], death: Death): Promise<Life> {
  const child = spawn(process.execPath, ['--no-warnings', CHILD, folder, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => {
    const was = out
    out += chunk.toString()
    if (typeof death === 'number' && !was.includes('ready\n') && out.includes('ready\n')) setTimeout(() => child.kill('SIGKILL'), death)
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  const closed = new Promise<string | null>((resolve) => child.once('close', (_, by) => resolve(by)))
  if (death === 'at work') {
    await waitUntil('a command is at work', () => strays(/^run (\S+)$/m.exec(out)?.[1] ?? 'none').length > 0 || child.exitCode !== null)
    child.kill('SIGKILL')
  }
  const signal = await closed
  const result = /^result (.*)$/m.exec(out)?.[1]
  if (result === undefined && signal !== 'SIGKILL')
    throw new Error(`a life ended badly (args ${args.join(' ')}, in ${folder}):\n${err || out}`)
  return {
    killed: signal === 'SIGKILL',
    strays: Number(/^strays (\d+)$/m.exec(out)?.[1] ?? 0),
    result: result === undefined ? null : JSON.parse(result),
  }
}

async function waitUntil(what: string, is: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!is()) {
    if (performance.now() > deadline) throw new Error(`waited 20 s in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** A small generator, so that a seed says everything about a run. */
function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

test('runs that are killed at random milliseconds, again and again, end as if they had not been', { timeout: 3_600_000 }, async () => {
  const seed = Number(process.env['TROUPE_SEED'] ?? 20_261)
  const next = random(seed)
  let kills = 0
  let runs = 0
  let repeated = 0
  while (kills < KILLS) {
    const folder = join(base, `random-${++runs}`)
    mkdirSync(folder)
    for (let life = 1; ; life++) {
      const after = life <= 6 ? Math.floor(next() * 260) : null
      const { killed, strays, result } = await live(folder, [next() < 0.5 ? '1' : '256'], after)
      expect({ seed, run: runs, life, strays }).toEqual({ seed, run: runs, life, strays: 0 })
      if (killed) kills++
      if (result === null) continue
      const { output, found, left } = result
      expect({ seed, run: runs, output, lost: found.lost, doubled: found.doubled, left }).toEqual({
        seed,
        run: runs,
        output: EXPECTED,
        lost: [],
        doubled: [],
        left: 0,
      })
      repeated += found.repeated
      break
    }
  }
  process.stderr.write(
    `random kills: ${kills} over ${runs} runs, seed ${seed}; ${repeated} effects repeated by policy, 0 lost, 0 doubled, 0 processes left\n`,
  )
})

test('a process that is killed at a commit point is continued by the next one', { timeout: 120_000 }, async () => {
  const folder = join(base, 'point')
  mkdirSync(folder)
  for (const [index, args] of [
    ['1', '4', 'after'],
    ['1', '9', 'before'],
    ['1', '15', 'after'],
  ].entries()) {
    expect({ index, ...(await live(folder, args, null)) }).toEqual({ index, killed: true, strays: 0, result: null })
  }
  const { result } = await live(folder, ['1'], null)
  expect(result).toMatchObject({ output: EXPECTED, left: 0, found: { lost: [], doubled: [] } })
})

test('a command that outlives its killed process is ended by the next one before anything else; without that it is found alive', {
  timeout: 120_000,
}, async () => {
  for (const { reaping, survivors } of [
    { reaping: 'reap', survivors: 0 },
    { reaping: 'no-reap', survivors: 1 },
  ]) {
    const folder = join(base, `orphan-${reaping}`)
    mkdirSync(folder)
    expect(await live(folder, ['256', '-', '-', 'reap', '30'], 'at work')).toMatchObject({ killed: true })
    const next = await live(folder, ['256', '-', '-', reaping, '0.1'], null)
    expect({ reaping, found: next.strays > 0 ? 1 : 0 }).toEqual({ reaping, found: survivors })
  }
})
