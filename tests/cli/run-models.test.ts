/** `troupe run` with models that are configured, as a stranger uses it: the built program, real HTTP, real processes. No live model is called. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { playing } from '../wire/play.ts'
import { closedPort } from '../wire/server.ts'
import { type Options, type Place, place, type Said, start, troupe } from './process.ts'
import { asked, ENV, filesOf, filesOfTheDemo, KEY, KINDS, MODELS, PRICES, REPLIES, remembered, serve, taskFor, wired } from './wired.ts'

const RUN_MS = 90_000
const NIGHTLY = process.env['TROUPE_NIGHTLY'] === '1'
/** Retries that do not wait. */
const QUICK = '[retry]\nbase_delay = "1ms"\nmax_delay = "1ms"\n'
const SUMMARY = 'Polish plurals and the word before the last name are right, and the names that were given stay as they were.\n'
type Data = Record<string, never>
const lines = (text: string): string[] => text.split('\n').filter(Boolean)
const parsed = (text: string): Data[] => lines(text).map((line) => JSON.parse(line))
const own = (at: Place, args: readonly string[], options: Options = {}): Promise<Said> =>
  troupe(at, args, { env: ENV, input: 'closed', ...options })

/** The first lines of the error, without ids of runs. */
const errorOf = ({ err }: Said): readonly string[] =>
  lines(err.slice(err.indexOf('error['))).map((line) => line.replace(/\b01[0-9A-Z]{6}\b/g, 'RUN'))

/**
 * A journal without what cannot be the same in two runs: times and durations, ids of runs and processes, folders, hashes of snapshots that hold such things, the
 * random numbers on record, and what the answers have cost, which is what tells a recording from its replay. Facts about time (`health.changed`) are left out.
 */
function comparable(text: string, { dir, home }: Place): unknown[] {
  const entries = parsed(text).filter(({ pos, type }) => pos !== undefined && type !== 'health.changed')
  const places = new Map(entries.map(({ pos }, index) => [pos as unknown, index]))
  const run = String(entries[0]?.['run'])
  const left = ['at', 'now', 'pid', 'host', 'durationMs', 'firstTokenMs', 'hash', 'random', 'costUsd', 'local', 'simulated', 'replayed']
  const plain = (value: unknown): unknown => {
    if (typeof value === 'string') {
      return value
        .replaceAll(run, 'RUN')
        .replaceAll(home, 'HOME')
        .replaceAll(dir, 'DIR')
        .replace(/duration_ms:? [\d.]+|\d+(\.\d+)?ms/g, 'MS')
    }
    if (Array.isArray(value)) return value.map(plain)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).flatMap(([key, part]) => (left.includes(key) ? [] : [[key, plain(part)]])))
  }
  return entries.map(({ pos, cause, ...entry }) => [places.get(pos), places.get(cause) ?? null, plain(entry)])
}

test.each(NIGHTLY ? KINDS : KINDS.slice(0, 1))(
  'R3 a run through %s does what the demo does, and its tape alone, without server and key, gives the same run again',
  { timeout: RUN_MS },
  async (kind) => {
    const [at, again] = [place(), place()]
    const server = await serve(kind)
    wired(at, { [kind]: server.url })
    wired(again, { [kind]: server.url })
    const task = taskFor(at, 'node --test')
    const demo = filesOfTheDemo(filesOf(at.dir))
    const cost = kind === 'ollama' ? 'local' : '\\$0\\.01\\d\\d'

    const first = await own(at, ['run', task, '--record', '../tape.jsonl'])
    expect([first.exit, first.out, filesOf(at.dir)]).toEqual([0, SUMMARY, demo])
    expect(first.err).toMatch(new RegExp(`^troupe \\S+ {2}run 01\\w{6} {2}greeter {2}${kind} ${MODELS[kind]} {2}budget 60k tokens\n`))
    expect(first.err).toMatch(new RegExp(`\n✓ team +succeeded, verified +\\S+ +\\S+ tok +${cost}\n`))
    expect(first.err).toContain(`\nmodels        ${kind} ${MODELS[kind]}, 10 calls\n`)
    expect(first.err).not.toContain('simulated')
    expect(asked(server)).toHaveLength(REPLIES.length)
    const tape = join(at.dir, '../tape.jsonl')
    const verified = await own(at, ['cassette', 'verify', '../tape.jsonl'])
    expect([verified.exit, verified.out]).toEqual([
      0,
      expect.stringMatching(new RegExp(`^\\S+ {2}ok {2}\\d+ exchanges, ${kind === 'openai-compatible' ? '\\S+' : kind} .*, 0 secrets, `)),
    ])
    expect(readFileSync(tape, 'utf8')).not.toContain(KEY)
    expect(JSON.stringify([first, filesOf(at.home)])).not.toContain(KEY)

    await server.close()
    const second = await own(again, ['run', task, '--replay', tape], { env: {} })
    expect([second.exit, second.out, filesOf(again.dir)]).toEqual([0, SUMMARY, demo])
    expect(lines(second.err)[0]).toContain(`${kind} ${MODELS[kind]} from a tape (simulated)`)
    expect(second.err).toMatch(/\n✓ team +succeeded, verified +\S+ +\S+ tok +simulated\n/)
    const [journal, replayed] = await Promise.all([at, again].map((each) => own(each, ['logs', '--last', '--jsonl', '-n', '5000'])))
    expect(comparable(replayed!.out, again)).toEqual(comparable(journal!.out, at))

    const changed = taskFor(again, 'node --test; true')
    const other = readFileSync(changed, 'utf8').replace('the wrong plural', 'a wrong plural')
    const missed = await own(again, ['run', '-', '--replay', tape], { env: {}, input: other })
    const [what, , fix] = errorOf(missed)
    expect([missed.exit, missed.out, what, fix]).toEqual([
      8,
      '',
      expect.stringMatching(
        /^error\[E_REPLAY_MISS\] \/team\/coder .*request \d+ is not on the tape \S+; nearest: exchange \d+, differs at .*the wrong .*a wrong /,
      ),
      '  fix: record the tape again with --record, or undo what has changed, and start the task again',
    ])
  },
)

test('P1 killed while its model is asked, a run goes on by resume: what was answered is not asked again', { timeout: RUN_MS }, async () => {
  const at = place()
  const [hung, play] = [Promise.withResolvers<void>(), playing(REPLIES)]
  const server = await serve('ollama', async (seen, nth) => {
    if (nth !== 4) return play(seen)
    hung.resolve()
    return { fault: { kind: 'hang', after: 0 } }
  })
  wired(at, { ollama: server.url }, QUICK)
  const { child, done } = start(at, ['run', taskFor(at), '-q'], { env: ENV, input: 'closed' })
  await hung.promise
  child.kill('SIGKILL')
  expect((await done).signal).toBe('SIGKILL')

  const back = remembered(at)
  wired(at, { ollama: `http://127.0.0.1:${await closedPort()}` }, QUICK)
  const alone = await own(at, ['resume', '--last'])
  expect([alone.exit, errorOf(alone)]).toEqual([
    5,
    [
      expect.stringMatching(
        /^error\[E_PROVIDER_UNREACHABLE\] \/team\/coder {2}no connection to ollama at 127\.0\.0\.1:\d+ \(ECONNREFUSED\)$/,
      ),
      '  fix: start the provider, and start the task again',
    ],
  ])
  expect(asked(server)).toHaveLength(4)

  back()
  const resumed = await own(at, ['resume', '--last'])
  expect([resumed.exit, resumed.out]).toEqual([0, SUMMARY])
  const times = new Map<string, number>()
  for (const { body } of asked(server)) times.set(JSON.stringify(body), (times.get(JSON.stringify(body)) ?? 0) + 1)
  expect([...times.values()].sort(), 'only the call that was cut off is made again').toEqual([...Array(REPLIES.length - 1).fill(1), 2])
})

test('R4 a run that meets its limit of money is saved, and goes on exactly there with more: what was spent stays spent', {
  timeout: RUN_MS,
}, async () => {
  const at = place()
  const kind = 'openai-compatible'
  const server = await serve(kind)
  wired(at, { [kind]: server.url })
  const limited = await own(at, ['run', taskFor(at), '--max-usd', '0.036'])
  const before = asked(server).length
  expect([limited.exit, limited.out, errorOf(limited)]).toEqual([
    6,
    '',
    [
      expect.stringMatching(
        /^error\[E_LIMIT_COST\] run RUN {2}\$0\.00\d+ spent, the next call may cost \$0\.03\d+, the limit is \$0\.036$/,
      ),
      expect.stringMatching(/^ {2}run RUN is saved at #\d+; nothing is lost$/),
      '  fix: troupe resume RUN --max-usd MORE',
    ],
  ])
  expect(limited.err).toMatch(/\n‖ team +limited/)
  const [spent] = parsed((await own(at, ['show', '--last', '--usage', '--json'])).out)
  expect(spent).toMatchObject({ schema: 'troupe.usage/1', total: { calls: before }, budgets: [{ path: null, usdMax: 0.036 }] })

  const raised = await own(at, ['resume', '--last', '--max-usd', '1'])
  expect([raised.exit, raised.out, before > 0, asked(server).length]).toEqual([0, SUMMARY, true, REPLIES.length])
  const [usage] = parsed((await own(at, ['show', '--last', '--usage', '--json'])).out) as unknown as [Usage]
  const sum = (costs: readonly { costUsd: number }[]): number =>
    Math.round(costs.reduce((all, { costUsd }) => all + costUsd, 0) * 1e9) / 1e9
  const { total, calls, byModel, byActor, budgets } = usage
  expect(calls.slice(0, before)).toEqual((spent as unknown as Usage).calls)
  expect([sum(calls), sum(byModel), sum(byActor.map(({ own }) => own)), sum([byActor[0]!.all]), budgets[0]!.spent.usd]).toEqual(
    Array(5).fill(total.costUsd),
  )
  expect([total.costUsd > 0.01, total.costBasis, byModel.map(({ provider, model }) => [provider, model])]).toEqual([
    true,
    'priced',
    [[kind, MODELS[kind]]],
  ])
  const text = lines((await own(at, ['show', '--last', '--usage'])).out)
  expect(text.slice(0, 2)).toEqual([
    expect.stringMatching(/^10 calls {2}1[\d.]+k tokens {2}\$0\.01\d\d$/),
    expect.stringMatching(/^budget: \$0\.01\d+ of \$1\.00, 1[\d.]+k of 60k tokens spent$/),
  ])
})

interface Usage {
  readonly total: { readonly costUsd: number; readonly costBasis: string }
  readonly calls: readonly { readonly costUsd: number }[]
  readonly byModel: readonly { readonly costUsd: number; readonly provider: string; readonly model: string }[]
  readonly byActor: readonly { readonly own: { readonly costUsd: number }; readonly all: { readonly costUsd: number } }[]
  readonly budgets: readonly { readonly spent: { readonly usd: number } }[]
}

test.each([
  ['--max-turns', '2', 'E_LIMIT_TURNS', /2 of 2 turns are taken/],
  ['--max-tokens', '17k', 'E_LIMIT_TOKENS', /\d+ of 17000 tokens are spent and 0 reserved; the next call may take \d+/],
] as const)(
  'R4 %s stops a run with exit 6 before the call that would go beyond it',
  { timeout: RUN_MS },
  async (flag, limit, code, words) => {
    const at = place()
    const server = await serve('ollama')
    wired(at, { ollama: server.url })
    const said = await own(at, ['run', taskFor(at), flag, limit, '-q'])
    const [what, , fix] = errorOf(said)
    expect([said.exit, said.out, what, fix]).toEqual([
      6,
      '',
      expect.stringMatching(new RegExp(`^error\\[${code}\\] .*${words.source}`)),
      `  fix: troupe resume RUN ${flag} MORE`,
    ])
    expect(asked(server).length).toBeGreaterThan(0)
    if (flag === '--max-turns') expect(asked(server)).toHaveLength(2)
  },
)

test('P22 a model that is down is passed over and that is on record; where all are down each says why, with exit 5', {
  timeout: RUN_MS,
}, async () => {
  const at = place()
  const server = await serve('anthropic')
  const down = `http://127.0.0.1:${await closedPort()}`
  const chain = `[models.first]\nprovider = "ollama"\nname = "qwen3:8b"\nfallback = ["anthropic"]\n${QUICK}`
  wired(at, { ollama: down, anthropic: server.url }, chain)
  const said = await own(at, ['run', taskFor(at), '--model', 'first'])
  expect([said.exit, said.out]).toEqual([0, SUMMARY])
  expect(said.err).toContain('\nmodels        anthropic claude-haiku-4-5, 10 calls\n')
  const switches = parsed((await own(at, ['logs', '--last', '--jsonl', '--type', 'model.switched'])).out).filter(
    ({ pos }) => pos !== undefined,
  )
  expect(switches).toHaveLength(REPLIES.length)
  expect(switches[0]?.['data']).toEqual({
    from: 'first',
    to: 'anthropic',
    reason: 'E_PROVIDER_UNREACHABLE',
    timedOut: false,
    text: expect.stringMatching(/^no connection to ollama at 127\.0\.0\.1:\d+ \(ECONNREFUSED\)$/),
  })

  const alone = place()
  wired(alone, { ollama: down, anthropic: down }, chain)
  const failed = await own(alone, ['run', taskFor(alone), '--model', 'first'])
  expect([failed.exit, failed.out, errorOf(failed)]).toEqual([
    5,
    '',
    [
      expect.stringMatching(
        /^error\[E_FALLBACK_EXHAUSTED\] .*all 2 models failed: first E_PROVIDER_UNREACHABLE, anthropic E_PROVIDER_UNREACHABLE$/,
      ),
      expect.stringMatching(/^ {2}first: no connection to ollama at 127\.0\.0\.1:\d+ \(ECONNREFUSED\)$/),
      expect.stringMatching(/^ {2}anthropic: no connection to anthropic at 127\.0\.0\.1:\d+/),
      '  fix: look at `troupe models`, and start the task again',
    ],
  ])
})

test('a key that is missing or a price that is not known ends at the door, and nothing is written; a key that is refused ends with exit 4', {
  timeout: RUN_MS,
}, async () => {
  const at = place()
  const server = await serve('anthropic')
  wired(at, { anthropic: server.url }, QUICK)
  const task = taskFor(at)
  const keyless = await own(at, ['run', task], { env: {} })
  expect([keyless.exit, errorOf(keyless)]).toEqual([
    4,
    ['error[E_CREDENTIALS_MISSING] anthropic  no key for anthropic (WIRED_KEY, keychain, file)', '  fix: troupe auth login anthropic'],
  ])
  const unpriced = await own(at, ['run', task, '--max-usd', '2'])
  expect([unpriced.exit, errorOf(unpriced)[0]]).toEqual([
    3,
    'error[E_PRICE_UNKNOWN] models.anthropic  a limit of money is set, the price of claude-haiku-4-5 is unknown',
  ])
  expect([Object.keys(filesOf(at.home)).filter((name) => !name.startsWith('.cache')), server.log]).toEqual([['config.toml'], []])
  const refused = await own(at, ['run', task], { env: { WIRED_KEY: `${KEY}x` } })
  expect([refused.exit, refused.out, errorOf(refused)]).toEqual([
    4,
    '',
    [
      expect.stringMatching(/^error\[E_CREDENTIALS_REJECTED\] \/team\/coder {2}anthropic at 127\.0\.0\.1:\d+ refused the key \(401\)$/),
      '  fix: give the right key with: troupe auth login PROVIDER, and start the task again',
    ],
  ])
  expect(server.log).toHaveLength(1)
})

test('P15 where answers are kept the same task costs nothing the second time, and says so', { timeout: RUN_MS }, async () => {
  const at = place()
  const server = await serve('openai-compatible')
  wired(at, { 'openai-compatible': server.url }, `${PRICES}[cache]\nmode = "readwrite"\n`)
  const first = await own(at, ['run', taskFor(at), '--json', '-q'])
  const [paid] = parsed(first.out)
  expect([first.exit, asked(server).length]).toEqual([0, REPLIES.length])
  const again = { ...place(), home: at.home }
  const second = await own(again, ['run', taskFor(again)])
  expect([second.exit, second.out, filesOf(again.dir)]).toEqual([0, SUMMARY, filesOf(at.dir)])
  expect(asked(server), 'nobody is asked').toHaveLength(REPLIES.length)
  expect(paid).toMatchObject({ usage: { costBasis: 'priced' }, models: [{ provider: 'openai-compatible', calls: REPLIES.length }] })
  expect(second.err).toMatch(/\n✓ team +succeeded, verified +\S+ +0 tok +\$0\.0000\n/)
  expect(second.err).toContain(', 10 calls; 10 answers of them kept: nobody was asked, nothing was paid\n')
})
