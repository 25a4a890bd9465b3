import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { durationMs, position, wholeNumber } from '../../src/cli/quantities.ts'
import { type Facts, type Flags, readConfig } from '../../src/config.ts'

const FLAGS: Flags = {
  json: false,
  jsonl: false,
  quiet: false,
  verbose: 0,
  motion: true,
  color: 'auto',
  ascii: false,
  input: true,
  yes: false,
  utc: false,
}
const TTY = { isTTY: true, columns: 200 }

function facts(more: Partial<Facts> = {}): Facts {
  return { env: { LANG: 'C.UTF-8' }, cwd: '/', homeDir: '/h', stdin: TTY, stdout: TTY, stderr: TTY, ...more }
}

test('the home is the flag, else TROUPE_HOME, else ~/.troupe; everything lies below it', () => {
  const home = (flags: Partial<Flags>, env: Facts['env']) => readConfig({ ...FLAGS, ...flags }, facts({ env })).home
  expect([
    home({ home: 'a' }, { TROUPE_HOME: '/b' }),
    home({}, { TROUPE_HOME: '/b' }),
    home({}, { TROUPE_HOME: '~/c' }),
    home({}, {}),
  ]).toEqual(['/a', '/b', '/h/c', '/h/.troupe'])
  const { database, work, reports } = readConfig(FLAGS, facts())
  expect([database, work, reports]).toEqual(['/h/.troupe/troupe.db', '/h/.troupe/work', '/h/.troupe/reports'])
})

test('-C is where work is done and what runs are filed under, unless the project is told', () => {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'troupe-config-')))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const of = (env: Facts['env']) => readConfig({ ...FLAGS, dir }, facts({ env }))
  expect([of({}).dir, of({}).project, of({ TROUPE_PROJECT: '/' }).dir, of({ TROUPE_PROJECT: '/' }).project]).toEqual([dir, dir, dir, '/'])
})

test.each([
  ['a terminal', {}, {}, { terminal: true, color: true, width: 120 }],
  ['a narrow one', {}, { stdout: { isTTY: true, columns: 30 } }, { terminal: true, color: true, width: 60 }],
  ['one that does not say how wide it is', {}, { stdout: { isTTY: true } }, { terminal: true, color: true, width: 80 }],
  ['a pipe', {}, { stdout: {} }, { terminal: false, color: false, width: null }],
  ['CI', {}, { env: { CI: 'true' } }, { terminal: false, color: false, width: null }],
  ['CI=false', {}, { env: { CI: 'false' } }, { terminal: true, color: true, width: 120 }],
  ['TERM=dumb', {}, { env: { TERM: 'dumb' } }, { terminal: false, color: false, width: null }],
  ['NO_COLOR', {}, { env: { NO_COLOR: '1' } }, { terminal: true, color: false, width: 120 }],
  ['an empty NO_COLOR', {}, { env: { NO_COLOR: '' } }, { terminal: true, color: true, width: 120 }],
  ['FORCE_COLOR into a pipe', {}, { env: { FORCE_COLOR: '1' }, stdout: {} }, { terminal: false, color: true, width: null }],
  ['FORCE_COLOR=0', {}, { env: { FORCE_COLOR: '0' } }, { terminal: true, color: false, width: 120 }],
  ['--color always and NO_COLOR', { color: 'always' }, { env: { NO_COLOR: '1' } }, { terminal: true, color: true, width: 120 }],
] as const)('stdout as %s', (_name, flags, given, look) => {
  expect(readConfig({ ...FLAGS, ...flags }, facts(given)).stdout).toEqual(look)
})

test.each([
  [{}, {}, false],
  [{ ascii: true }, {}, true],
  [{}, { TERM: 'linux' }, true],
  [{}, { LANG: 'C' }, true],
  [{}, { LANG: 'de_DE.utf8' }, false],
  [{}, { LC_ALL: 'POSIX', LANG: 'C.UTF-8' }, true],
] as const)('with %j and %j the screen has ASCII only: %s', (flags, env, ascii) => {
  expect(readConfig({ ...FLAGS, ...flags }, facts({ env })).ascii).toBe(ascii)
})

test('a person is asked only on a terminal, without --no-input and without --json', () => {
  const prompts = (flags: Partial<Flags>, more: Partial<Facts> = {}) => readConfig({ ...FLAGS, ...flags }, facts(more)).prompts
  expect([
    prompts({}),
    prompts({ input: false }),
    prompts({ json: true }),
    prompts({}, { stdin: {} }),
    prompts({}, { stderr: {} }),
  ]).toEqual([true, false, false, false, false])
})

test('a child process gets the environment without what would tie it to a test runner or to another repository', () => {
  const { childEnv } = readConfig(FLAGS, facts({ env: { PATH: '/bin', NODE_TEST_CONTEXT: 'child', GIT_DIR: '/x', EMPTY: undefined } }))
  expect(childEnv({ TROUPE_PROJECT: '/p' })).toEqual({ PATH: '/bin', TROUPE_PROJECT: '/p' })
})

test('durations carry a unit, counts may carry k or M, positions a #', () => {
  expect([durationMs('20m'), durationMs('1h30m'), durationMs('200ms'), durationMs('1.5s')]).toEqual([1_200_000, 5_400_000, 200, 1_500])
  expect([wholeNumber('200k'), wholeNumber('1.5M'), wholeNumber('7'), position('#412'), position('0')]).toEqual([
    200_000, 1_500_000, 7, 412, 0,
  ])
  for (const wrong of ['20', '', 'm', '20x', '0s', '-1s']) expect(() => durationMs(wrong), wrong).toThrow('expected')
  for (const wrong of ['0', '', 'k', '1e9', '-1', '0.0001k']) expect(() => wholeNumber(wrong), wrong).toThrow('expected')
  for (const wrong of ['', '#', '1.5', 'x']) expect(() => position(wrong), wrong).toThrow('expected')
})
