/** Where the demo takes place: a copy of the example repository, under git where there is git, and its tests. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import type { Config } from '../config.ts'
import { UserError } from '../errors.ts'

export interface Stage {
  /** The copy of the repository. */
  readonly dir: string
  readonly task: string
  /** Removes what was made for this demo; a folder that was asked for stays. */
  strike(): void
}

export interface TestCount {
  readonly tests: number
  readonly pass: number
  readonly fail: number
}

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url))
const TESTS_TIMEOUT_MS = 60_000

/** Copies the example and commits it. @throws {UserError} `E_USAGE` where the folder to keep it in is not empty. */
export function setStage(config: Config, { keep, fast }: { keep: string | undefined; fast: boolean }): Stage {
  const kept = keep === undefined ? null : emptyFolder(resolve(config.dir, keep))
  const temp = mkdtempSync(join(tmpdir(), 'troupe-demo-'))
  const dir = kept ?? join(temp, 'greeter')
  cpSync(join(EXAMPLES, 'greeter'), dir, { recursive: true, filter: (path) => !/[\\/](?:\.git|node_modules)$/.test(path) })
  commitAll(config, dir)
  const task = join(temp, 'greeter.task.yaml')
  writeFileSync(task, fast ? withoutPauses(taskText()) : taskText())
  return { dir, task, strike: () => rmSync(temp, { recursive: true, force: true }) }
}

const taskText = (): string => readFileSync(join(EXAMPLES, 'greeter.task.yaml'), 'utf8')

/** The same replies, at once. Given as JSON, which is YAML too and folds no line of anybody's code. */
export function withoutPauses(task: string): string {
  const { replies, ...rest } = parse(task) as { replies: readonly Record<string, unknown>[] }
  return JSON.stringify({ ...rest, replies: replies.map(({ delay: _delay, ...reply }) => reply) }, null, 2)
}

function emptyFolder(dir: string): string {
  if (existsSync(dir) && readdirSync(dir).length > 0) {
    throw new UserError('E_USAGE', `${dir} is not empty`, { where: '--keep', fix: 'name a folder that is empty or not there', exit: 2 })
  }
  mkdirSync(dir, { recursive: true })
  return dir
}

/** Without git the copy is just a folder: the team works in either. */
function commitAll({ childEnv }: Config, dir: string): void {
  const settings = [
    'user.name=troupe',
    'user.email=demo@localhost',
    'commit.gpgsign=false',
    'core.hooksPath=/dev/null',
    'init.defaultBranch=main',
  ]
  const git = (...args: string[]) =>
    spawnSync('git', [...settings.flatMap((setting) => ['-c', setting]), ...args], { cwd: dir, env: childEnv({}), stdio: 'ignore' })
      .status === 0
  if (git('init', '-q') && git('add', '-A')) git('commit', '-q', '-m', 'As it was found')
}

/** Runs the repository's own tests with this Node. @throws {Error} where they do not report. */
export function runTests({ childEnv }: Config, dir: string): TestCount {
  const ran = spawnSync(process.execPath, ['--test', '--test-reporter=tap'], {
    cwd: dir,
    env: childEnv({}),
    encoding: 'utf8',
    timeout: TESTS_TIMEOUT_MS,
  })
  const number = (name: string): number => Number(new RegExp(`^# ${name} (\\d+)$`, 'm').exec(ran.stdout ?? '')?.[1])
  const counted = { tests: number('tests'), pass: number('pass'), fail: number('fail') }
  if (Object.values(counted).some(Number.isNaN)) throw new Error(`node --test gave no count (exit ${ran.status}, signal ${ran.signal})`)
  return counted
}
