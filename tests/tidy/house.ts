/**
 * The rules of this repository as data. Arrows point down; what an arrow does not allow is a violation.
 *
 *   main -> cli -> app -> { http, actors, runtime, config }        index, testing: the public doors
 *            |              |
 *            +--> view      +--> actors -> { machines, runtime }    machines and runtime never import each other
 *                                 all of them -> leaves
 *
 * A path that ends in `/` names everything below it, any other names one file.
 */

export interface Layer {
  readonly name: string
  readonly files: readonly string[]
  /** Layers that it may import. */
  readonly may: readonly string[]
  /** Layers of which it may import types only. */
  readonly mayTypes?: readonly string[]
  /** No I/O, no clock, no randomness, nothing asynchronous: the same input gives the same output, in a browser too. */
  readonly pure?: boolean
}

export const LAYERS: readonly Layer[] = [
  {
    name: 'leaves',
    files: [
      'src/errors.ts',
      'src/limits.ts',
      'src/json.ts',
      'src/effect.ts',
      'src/protocol.ts',
      'src/health.ts',
      'src/catalogue.ts',
      'src/loopback.ts',
      'src/near.ts',
      'src/quantities.ts',
      'src/secrets.ts',
      'src/usage.ts',
    ],
    may: ['leaves'],
    pure: true,
  },
  { name: 'view', files: ['src/view/'], may: ['leaves', 'view'], mayTypes: ['runtime'], pure: true },
  { name: 'machines', files: ['src/machines/'], may: ['leaves', 'machines'], pure: true },
  { name: 'runtime', files: ['src/runtime/'], may: ['leaves', 'runtime'] },
  { name: 'actors', files: ['src/actors/'], may: ['leaves', 'machines', 'runtime', 'actors'] },
  { name: 'config', files: ['src/config.ts', 'src/config/'], may: ['leaves', 'config'] },
  { name: 'http', files: ['src/http/'], may: ['leaves', 'view', 'runtime', 'actors', 'http'] },
  { name: 'app', files: ['src/app.ts'], may: ['leaves', 'config', 'runtime', 'actors', 'http'] },
  { name: 'cli', files: ['src/cli/'], may: ['leaves', 'view', 'config', 'runtime', 'actors', 'app', 'cli'] },
  { name: 'main', files: ['src/main.ts'], may: ['cli'] },
  { name: 'index', files: ['src/index.ts'], may: ['leaves', 'machines', 'runtime', 'actors'] },
  { name: 'testing', files: ['src/testing.ts', 'src/testing/'], may: ['leaves', 'machines', 'runtime', 'actors', 'view', 'testing'] },
]

/** Where below src/ a package may be imported. A package that is not here is not imported at all: a new dependency is a decision. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  xstate: ['src/machines/', 'src/runtime/', 'src/actors/', 'src/index.ts', 'src/testing/'],
  'fast-check': ['src/testing/arbitraries.ts'],
  zod: [
    'src/effect.ts',
    'src/protocol.ts',
    'src/machines/',
    'src/runtime/',
    'src/actors/',
    'src/http/',
    'src/cli/',
    'src/config.ts',
    'src/config/',
  ],
  'better-sqlite3': ['src/runtime/stores/', 'src/actors/memory/'],
  'sqlite-vec': ['src/actors/memory/'],
  '@anthropic-ai/sdk': ['src/actors/providers/'],
  ollama: ['src/actors/providers/'],
  openai: ['src/actors/providers/'],
  '@napi-rs/keyring': ['src/actors/credentials/'],
  'smol-toml': ['src/config.ts', 'src/config/'],
  execa: ['src/actors/sandboxes/', 'src/actors/workspaces/', 'src/cli/'],
  diff: ['src/actors/workspaces/', 'src/actors/promotion.ts'],
  yaml: ['src/actors/task.ts', 'src/config.ts', 'src/cli/'],
  ulid: ['src/runtime/clocks/', 'src/app.ts', 'src/cli/'],
  commander: ['src/cli/'],
  pino: ['src/http/', 'src/cli/', 'src/app.ts'],
}

/** Packages of which these files may import types only. */
export const PACKAGE_TYPES: Readonly<Record<string, readonly string[]>> = { xstate: ['src/effect.ts', 'src/protocol.ts'] }

/** Files that touch the world: the only ones below src/ that may use {@link WORLD_CALLS} and {@link WORLD_MODULES}. */
export const ADAPTERS: readonly string[] = [
  'src/runtime/clocks/',
  'src/runtime/stores/',
  'src/actors/caches/',
  'src/actors/cassettes/',
  'src/actors/credentials/',
  'src/actors/memory/',
  'src/actors/providers/',
  'src/actors/sandboxes/',
  'src/actors/tools/',
  'src/actors/workspaces/',
  'src/actors/gate.ts',
  'src/actors/promotion.ts',
  'src/actors/reaper.ts',
  'src/actors/vitals.ts',
  'src/actors/workspace.ts',
  'src/http/',
  'src/cli/',
  'src/app.ts',
  'src/config.ts',
  'src/config/',
  'src/main.ts',
  'src/testing/virtual-clock.ts',
  'src/testing/scheduler.ts',
]

/** Time, randomness and identity. Everybody else is given them, so that a tree can run under a virtual clock. `new Date(ms)` is arithmetic. */
export const WORLD_CALLS: Readonly<Record<string, RegExp>> = {
  'Date.now': /\bDate\.now\b/g,
  'new Date()': /\bnew Date(?:\(\s*\)|(?![\w$]|\s*\())/g,
  'Math.random': /\bMath\.random\b/g,
  setTimeout: /\bsetTimeout\b/g,
  setInterval: /\bsetInterval\b/g,
  setImmediate: /\bsetImmediate\b/g,
  'performance.now': /\bperformance\.now\b/g,
  'process.hrtime': /\bprocess\.hrtime\b/g,
  'AbortSignal.timeout': /\bAbortSignal\.timeout\b/g,
  'crypto.randomUUID': /\brandomUUID\b/g,
}

/** Importing a type from one of these is no use of it. A name stands for what is below it too: `node:fs/promises`. */
export const WORLD_MODULES: readonly string[] = [
  'node:fs',
  'node:child_process',
  'node:net',
  'node:tls',
  'node:dgram',
  'node:http',
  'node:https',
  'node:http2',
  'node:timers',
  'node:worker_threads',
]

/** What pure layers do without, beside any `node:` module. */
export const IMPURE: Readonly<Record<string, RegExp>> = {
  async: /\basync\b(?!\s*:)/g,
  await: /\bawait\b/g,
  fetch: /(?<![.\w$])fetch\s*\(/g,
  'process.*': /(?<![.\w$])process\.\w/g,
  'console.*': /(?<![.\w$])console\.\w/g,
}

/** Names that say nothing about what is inside. They hold for files and folders. */
export const FORBIDDEN_NAMES: readonly string[] = ['utils', 'helpers', 'common', 'misc', 'types', 'manager']

/** Most lines of a file of code. Aim for 80 to 150; at 250 look twice. */
export const LINES_MAX = 400
/** Where {@link LINES_MAX} and {@link FORBIDDEN_NAMES} hold. */
export const SIZED: readonly string[] = ['src/', 'tests/', 'examples/', 'bench/', 'scripts/']

/** Files that may consist of re-exports: the public doors. */
export const DOORS: readonly string[] = ['src/index.ts', 'src/testing.ts']

/** What binds a file to one machine or one network. Written so that no pattern matches its own text. */
export const FOREIGN: Readonly<Record<string, RegExp>> = {
  'a registry host':
    /\bregistry\.(?:npmjs|yarnpkg|npmmirror)\.(?:org|com)\b|\bnpm\.pkg\.github\.com\b|\b[\w-]+\.(?:artifactory|jfrog)\.[a-z]{2,}\b/g,
  "a developer's home": /(?<![\w.])\/(?:home|Users)\/[a-z][\w.-]*|\b[A-Z]:\\+Users\\+\w/g,
}
