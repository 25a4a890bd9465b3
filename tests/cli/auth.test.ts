/** `troupe auth`, `troupe models`, and what `run` says at its door: streams, exit codes, shapes. */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Place, place, shellOf, troupe } from './process.ts'

/** Of no known form. */
const KEY = 'zQ9-0123456789abcdefw9Qk'
const given = ({ dir }: Place, text: string): void => writeFileSync(join(dir, 'troupe.toml'), text)
const CLOUD = '[models.coder]\nprovider = "anthropic"\nname = "claude-sonnet-5-5"\n'

test('auth: a key is kept, listed by its end, and forgotten', { timeout: 60_000 }, async () => {
  const at = place()
  const login = await troupe(at, ['auth', 'login', 'anthropic', '--key', '-', '--json'], { input: `${KEY}\n` })
  expect([login.exit, JSON.parse(login.out)]).toEqual([
    0,
    {
      schema: 'troupe.auth/1',
      type: 'result',
      items: [{ provider: 'anthropic', state: 'ok', source: `file ${at.home}/keys/keys.json` }],
      truncated: false,
    },
  ])
  const status = await troupe(at, ['auth', 'status'], { env: { OPENAI_API_KEY: 'sk-openai-123456789' } })
  expect([status.exit, status.err, status.out]).toEqual([
    0,
    '',
    `PROVIDER\tSTATE\tKEY\nanthropic\tok\tfile ${at.home}/keys/keys.json, ends in w9Qk\nopenai-compatible\tok\tenvironment OPENAI_API_KEY, ends in 6789\n`,
  ])
  expect((await troupe(at, ['auth', 'logout', 'anthropic'])).out).toBe(`anthropic  removed from file ${at.home}/keys/keys.json\n`)
  const again = await troupe(at, ['auth', 'logout', 'anthropic'], { env: { ANTHROPIC_API_KEY: KEY } })
  expect([again.exit, again.out, again.err]).toEqual([
    0,
    'anthropic  no key was kept\n',
    'note: environment ANTHROPIC_API_KEY still has a key\n',
  ])
})

test.each([
  [['auth', 'login', 'anthropic', '--key', KEY], 2, 'error[E_USAGE] auth  a key is no argument'],
  [['auth', 'login', 'anthropic', KEY], 2, "error[E_USAGE] auth  too many arguments for 'login'. Expected 1 argument but got 2\n"],
  [['auth', 'login', 'anthropic', `--kye=${KEY}`], 2, "error[E_USAGE] --kye  unknown option '--kye=...'"],
  [['auth', 'login', 'antropic', '--key', '-'], 2, 'error[E_USAGE] auth  no provider has this name; did you mean `anthropic`?'],
  [['auth', 'login', 'ollama', '--key', '-'], 2, 'error[E_USAGE] auth  ollama takes no key'],
  [['auth', 'login', 'anthropic', '--key', '-'], 2, 'error[E_USAGE] auth login  no key was given'],
  [['auth', 'login', 'anthropic'], 2, 'error[E_CONFIRM_REQUIRED] auth login  nobody can be asked for the key here'],
] as const)('troupe %j exits %d, says why and repeats no key', { timeout: 60_000 }, async (args, exit, words) => {
  const at = place()
  const said = await troupe(at, args, { input: '' })
  expect([said.exit, said.out]).toEqual([exit, ''])
  expect(said.err).toContain(words)
  expect(said.err).toMatch(/\n {2}fix: \S/)
  expect(said.err).not.toContain(KEY)
  expect(readdirSync(at.home).filter((name) => name !== '.cache')).toEqual([])
})

test.skipIf(!existsSync('/usr/bin/script'))('a key that is typed is not shown', { timeout: 60_000 }, async () => {
  const at = place()
  const child = spawn('/usr/bin/script', ['-qec', '"$NODE" "$MAIN" auth login anthropic', '/dev/null'], {
    cwd: at.dir,
    env: { ...shellOf(at), TERM: 'xterm' },
  })
  let screen = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text
    if (screen.includes('not shown') && child.stdin.writable) child.stdin.end(`${KEY}\r`)
  })
  const exit = await new Promise((resolve) => child.once('close', resolve))
  expect([exit, screen.includes(KEY), screen.includes('ends in w9Qk')]).toEqual([0, false, true])
})

test('run: what is wrong with models, prices and keys is said at the door, and no store is made', { timeout: 60_000 }, async () => {
  const at = place()
  given(at, CLOUD)
  const keyless = await troupe(at, ['run', 'Make it better'], { input: 'closed' })
  expect([keyless.exit, keyless.out, keyless.err]).toEqual([
    4,
    '',
    'error[E_CREDENTIALS_MISSING] anthropic  no key for anthropic (ANTHROPIC_API_KEY, keychain, file)\n  fix: troupe auth login anthropic\n',
  ])
  const unpriced = await troupe(at, ['run', 'Make it better'], { env: { TROUPE_BUDGET_MAX_USD: '2', ANTHROPIC_API_KEY: KEY } })
  expect([unpriced.exit, unpriced.err.split('\n')[0]]).toEqual([
    3,
    'error[E_PRICE_UNKNOWN] models.coder  a limit of money is set, the price of claude-sonnet-5-5 is unknown',
  ])
  const unknown = await troupe(at, ['run', 'Make it better', '--model', 'codr', '--json'])
  expect([unknown.exit, JSON.parse(unknown.out)]).toMatchObject([3, { code: 'E_MODEL_UNKNOWN', where: '--model', exit: 3 }])
  given(at, `${CLOUD}temperature = 9\n`)
  const invalid = await troupe(at, ['run', 'Make it better'])
  expect([invalid.exit, invalid.err]).toEqual([
    3,
    'error[E_CONFIG_INVALID] ./troupe.toml:4:1  models.coder.temperature: expected a number from 0 to 2, got 9\n     4 | temperature = 9\n       | ^\n  fix: mend that line\n',
  ])
  expect(readdirSync(at.home).filter((name) => name !== '.cache')).toEqual([])
  expect((await troupe(at, ['ps'])).exit).toBe(0)
})

test('models: a table of what is configured; a provider that is away is an answer, a key that is slipped a warning', {
  timeout: 60_000,
}, async () => {
  const at = place()
  given(
    at,
    `ollama_host = "http://127.0.0.1:9"\n${CLOUD}[models.local]\nprovider = "ollama"\nname = "qwen3:14b"\nnum_cxt = 5\nvram_gb = 20\n`,
  )
  const table = await troupe(at, ['models', '--config', 'troupe.toml'])
  expect([table.exit, table.out]).toEqual([
    0,
    'ALIAS\tPROVIDER\tMODEL\tCONTEXT\tTOOLS\tPRICE PER M\tSTATE\n' +
      'coder\tanthropic\tclaude-sonnet-5-5\t200k\tnative\t$? (unknown)\tno key: troupe auth login anthropic\n' +
      'local\tollama\tqwen3:14b\t16.4k\tnative\tlocal\tnot reachable\n',
  ])
  expect(table.err).toContain(
    'warning[E_CONFIG_UNKNOWN_KEY] ./troupe.toml:8:1  unknown key `num_cxt` in [models.local]; it is not read; did you mean `num_ctx`?',
  )
  const json = await troupe(at, ['models', '--json', '-q'])
  expect([json.err, JSON.parse(json.out)]).toMatchObject([
    '',
    {
      schema: 'troupe.models/1',
      items: [
        { alias: 'coder', inputUsdPerMTok: null, state: 'no_key' },
        { alias: 'local', inputUsdPerMTok: 0, state: 'unreachable' },
      ],
    },
  ])
  given(at, '')
  const none = await troupe(at, ['models'])
  expect([none.exit, none.out, none.err.startsWith('note: no model is configured')]).toEqual([0, '', true])
})
