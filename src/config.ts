/**
 * Where things are and what the terminal can do: the only reader of the environment.
 *
 *   flag  >  environment (TROUPE_HOME, NO_COLOR, FORCE_COLOR, CI, TERM, LANG)  >  default
 *
 * The tables of config files are read when they are first asked for, see config/settings.ts: `ps` reads none.
 *
 *   ~/.troupe/troupe.db   the store      ~/.troupe/work/<run>/   staged copies      ~/.troupe/reports/   reports of bugs
 */
import { realpathSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { readFiles } from './config/files.ts'
import { type Settings, settle } from './config/settings.ts'
import { UserError } from './errors.ts'
import { isSecretName } from './secrets.ts'

export type ColorChoice = 'auto' | 'always' | 'never'

/** Flags that every verb takes. */
export interface Flags {
  readonly json: boolean
  readonly jsonl: boolean
  readonly quiet: boolean
  /** How often `-v` was given. */
  readonly verbose: number
  readonly motion: boolean
  readonly color: ColorChoice
  readonly ascii: boolean
  readonly input: boolean
  readonly yes: boolean
  readonly utc: boolean
  readonly dir?: string | undefined
  readonly home?: string | undefined
  /** A config file, instead of the project's. */
  readonly config?: string | undefined
}

interface StreamFacts {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

/** What a process knows of itself; given, so that it can be tested without one. */
export interface Facts {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly homeDir: string
  readonly stdin: StreamFacts
  readonly stdout: StreamFacts
  readonly stderr: StreamFacts
}

export interface StreamLook {
  readonly terminal: boolean
  readonly color: boolean
  /** Columns within 60 and 120; null where it is no terminal. */
  readonly width: number | null
}

export interface Config {
  readonly home: string
  readonly database: string
  /** Folder for the staged copies of all runs. */
  readonly work: string
  readonly reports: string
  /** The folder that commands work in: `-C`, or where they were typed. */
  readonly dir: string
  /** The project that runs are filed under. */
  readonly project: string
  readonly stdout: StreamLook
  readonly stderr: StreamLook
  readonly ascii: boolean
  /** May a person be asked? */
  readonly prompts: boolean
  /** The environment for processes that the program starts of itself, with these additions; of test runners, of git and of keys nothing is handed on. */
  readonly childEnv: (more: Readonly<Record<string, string>>) => Record<string, string>
  /** Environment variable by its name; undefined where it is not set or empty. */
  readonly variable: (name: string) => string | undefined
  /** The tables of the config files and of `TROUPE_*`, read once. @throws {UserError} `E_CONFIG_INVALID`, `E_SECRET_IN_CONFIG` (exit 3). */
  readonly settings: () => Settings
}

/** What this process knows. */
function processFacts(): Facts {
  const { env, stdin, stdout, stderr } = process
  return { env, cwd: process.cwd(), homeDir: homedir(), stdin, stdout, stderr }
}

/** @throws {UserError} `E_USAGE` where the folder of `-C` is none. */
export function readConfig(flags: Flags, facts: Facts = processFacts()): Config {
  const { env } = facts
  const dir = folder(resolve(facts.cwd, flags.dir ?? '.'), flags.dir !== undefined)
  const home = resolve(facts.cwd, expand(flags.home ?? env['TROUPE_HOME'] ?? join(facts.homeDir, '.troupe'), facts.homeDir))
  return {
    home,
    database: join(home, 'troupe.db'),
    work: join(home, 'work'),
    reports: join(home, 'reports'),
    dir,
    project: env['TROUPE_PROJECT'] ? folder(resolve(facts.cwd, env['TROUPE_PROJECT']), false) : dir,
    stdout: streamLook(facts.stdout, flags, env),
    stderr: streamLook(facts.stderr, flags, env),
    ascii: flags.ascii || !speaksUnicode(env),
    prompts: flags.input && !flags.json && !flags.jsonl && isTerminal(facts.stdin, env) && isTerminal(facts.stderr, env),
    childEnv: (more) => childEnv(env, more),
    variable: (name) => env[name] || undefined,
    settings: once(() => settle(readFiles({ dir, home, homeDir: facts.homeDir, explicit: flags.config ?? null }), env)),
  }
}

/** What a function gives, asked for once. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

function streamLook(stream: StreamFacts, flags: Flags, env: Facts['env']): StreamLook {
  const terminal = isTerminal(stream, env)
  const columns = stream.columns === undefined || stream.columns === 0 ? 80 : stream.columns
  return { terminal, color: colored(terminal, flags.color, env), width: terminal ? Math.min(120, Math.max(60, columns)) : null }
}

/** A terminal that a person looks at. */
function isTerminal(stream: StreamFacts, env: Facts['env']): boolean {
  return stream.isTTY === true && env['TERM'] !== 'dumb' && !isSet(env['CI'])
}

/** https://no-color.org, https://force-color.org; a flag is stronger than both. */
function colored(terminal: boolean, choice: ColorChoice, env: Facts['env']): boolean {
  if (choice !== 'auto') return choice === 'always'
  if (env['NO_COLOR']) return false
  if (env['FORCE_COLOR'] !== undefined && env['FORCE_COLOR'] !== '') return isSet(env['FORCE_COLOR'])
  return terminal
}

const isSet = (value: string | undefined): boolean => value !== undefined && value !== '' && value !== '0' && value !== 'false'

/** A locale without UTF-8 and the Linux console cannot be trusted with symbols. Where no locale is set, UTF-8 is the rule today. */
function speaksUnicode(env: Facts['env']): boolean {
  if (env['TERM'] === 'linux' || env['TERM'] === 'dumb') return false
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
  return locale === '' || /utf-?8/i.test(locale)
}

function folder(path: string, mustExist: boolean): string {
  try {
    if (statSync(path).isDirectory()) return realpathSync(path)
  } catch (error) {
    if (!mustExist) return path
    throw new UserError('E_USAGE', `no such folder: ${path}`, { where: '-C', fix: 'name a folder that exists', exit: 2, cause: error })
  }
  if (!mustExist) return path
  throw new UserError('E_USAGE', `${path} is no folder`, { where: '-C', fix: 'name a folder', exit: 2 })
}

function expand(path: string, homeDir: string): string {
  return path === '~' || path.startsWith('~/') ? join(homeDir, path.slice(1)) : path
}

/** A test runner's variables would make `node --test` in a child report to it; git's would make it work on another repository. */
const NOT_INHERITED = ['NODE_TEST_CONTEXT', 'NODE_OPTIONS', 'NODE_V8_COVERAGE', 'VITEST', 'GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE']

function childEnv(env: Facts['env'], more: Readonly<Record<string, string>>): Record<string, string> {
  const isKept = (name: string): boolean => !NOT_INHERITED.includes(name) && !isSecretName(name)
  const kept = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && isKept(entry[0]))
  return { ...Object.fromEntries(kept), ...more }
}
