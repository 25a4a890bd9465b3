/**
 * The matrix of faults: each fault of the wire through each adapter and the real engine, in a process of its own. What follows is in fault-cases.ts.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { waitUntil } from '../../harness.ts'
import type { Exchange } from '../../wire/exchange.ts'
import { closedPort, type Seen, type WireServer } from '../../wire/server.ts'
import {
  ATTEMPTS_MAX,
  CASES,
  expectedOf,
  type FaultCase,
  HUGE_BYTES,
  markdown,
  PROVIDERS,
  type ProviderName,
  requestsOf,
  SOUND,
} from './fault-cases.ts'
import { PATHS, serverOf } from './fault-providers.ts'
import type { Ask, Told } from './faults.child.ts'

/** A deadline that is meant to pass, and one that is not. */
const SHORT_MS = 500
const LONG_MS = 30_000
/** From the fault, or the deadline, until the attempt has ended; the rest is for a busy machine. */
const DETECT_MS_MAX = 5_000
/** What a process may take for a line of {@link HUGE_BYTES}, MB. */
const HUGE_MB_MAX = 100
const AT_ONCE = 8

interface Played {
  readonly one: FaultCase
  readonly provider: ProviderName
  readonly told: Told
  readonly log: readonly Seen[]
  /** Of the server to which a redirect points. */
  readonly strayed: readonly Seen[]
}

const servers: WireServer[] = []
let child: ChildProcess
let printed = ''
let played: readonly Played[] = []
let healed: readonly Played[] = []

beforeAll(async () => {
  child = fork(join(import.meta.dirname, 'faults.child.ts'), { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (printed += text))
  const cells = CASES.flatMap((one) => PROVIDERS.map((provider) => ({ one, provider })))
  const isHuge = ({ one }: { one: FaultCase }): boolean => one.fault('').kind === 'huge'
  const sound = PROVIDERS.map((provider) => ({ one: CASES.at(-2)!, provider }))
  await play(sound, { atOnce: 1 }) // Loads the clients, so that neither time nor memory of a cell is theirs.
  played = [...(await play(cells.filter((cell) => !isHuge(cell)))), ...(await play(cells.filter(isHuge), { atOnce: 1 }))]
  const mayHeal = cells.filter(({ one, provider }) => requestsOf(expectedOf(one, provider)) > 1 && one.name !== 'connection refused')
  healed = await play(
    mayHeal.filter((cell) => !isHuge(cell)),
    { heals: true },
  )
}, 120_000)

afterAll(async () => {
  child.kill()
  for (const server of servers) await server.close()
})

/** @param heals  only the first answer is spoilt. */
async function play(
  cells: readonly { one: FaultCase; provider: ProviderName }[],
  { heals = false, atOnce = AT_ONCE } = {},
): Promise<readonly Played[]> {
  const set = await Promise.all(cells.map((cell) => stage(cell, heals)))
  const asks = set.map(({ ask }) => ask)
  const told = await new Promise<readonly Told[]>((resolve, reject) => {
    child.once('message', (message) => resolve((message as { told: Told[] }).told))
    child.once('exit', (code) => reject(new Error(`the process ended with ${code}: ${printed}`)))
    child.send({ asks, atOnce })
  })
  child.removeAllListeners('exit')
  return set.map(({ log, strayed }, index) => ({ ...cells[index]!, told: told[index]!, log, strayed }))
}

async function stage({ one, provider }: { one: FaultCase; provider: ProviderName }, heals: boolean) {
  const target = await serverOf(provider, () => SOUND)
  const script = (_: Seen, nth: number): Exchange =>
    heals && nth > 1 ? SOUND : { ...SOUND, fault: one.fault(`${target.url}${PATHS[provider]}`) }
  const server = await serverOf(provider, script)
  servers.push(target, server)
  const url = one.name === 'connection refused' ? `http://127.0.0.1:${await closedPort()}` : server.url
  const ask: Ask = {
    provider,
    url,
    attemptsMax: ATTEMPTS_MAX,
    firstMs: one.deadline === 'first' ? SHORT_MS : LONG_MS,
    idleMs: one.deadline === 'idle' ? SHORT_MS : LONG_MS,
  }
  return { ask, log: server.log, strayed: target.log }
}

const cellsOf = (provider: ProviderName) => played.filter((cell) => cell.provider === provider)
const generating = ({ provider, log }: Played): readonly Seen[] => log.filter(({ path }) => path === PATHS[provider])

test.each(PROVIDERS)('%s: each fault has the code, the class of retry, the requests and the cost that the matrix says', (provider) => {
  const seen = cellsOf(provider).map((cell) => ({ fault: cell.one.name, ...outcomeOf(cell) }))
  const expected = cellsOf(provider).map(({ one }) => {
    const outcome = expectedOf(one, provider)
    const requests = one.name === 'connection refused' ? 0 : requestsOf(outcome)
    const { charged } = outcome
    const total = charged === '~' ? '~' : (charged?.map((tokens) => tokens * requestsOf(outcome)) ?? null)
    return { fault: one.name, ...outcome, which: one.deadline ?? null, attempts: requestsOf(outcome), requests, total }
  })
  expect(seen).toEqual(expected)
})

function outcomeOf(cell: Played) {
  const { told } = cell
  const last = told.attempts.at(-1)!.result
  const { inputTokens, outputTokens, estimated } = last.usage ?? {}
  const isEstimate = estimated === true && (told.usage?.[0] ?? 0) > 0
  return {
    code: told.code,
    // An attempt that a deadline has ended has no word of its own: the engine tries it again after a wait.
    retry: last.ok ? '-' : cell.one.deadline === undefined ? last.retry : 'backoff',
    charged: inputTokens === undefined ? null : isEstimate ? '~' : [inputTokens, outputTokens],
    which: told.which,
    attempts: told.attempts.length,
    requests: generating(cell).length,
    total: isEstimate ? '~' : told.usage,
  }
}

test('an answer is whole or there is none: what comes out as an answer is the one that was sent, with its tool call', () => {
  const answers = [...played, ...healed].filter(({ told }) => told.code === 'ok')
  expect(answers.length).toBeGreaterThan(PROVIDERS.length * 10)
  for (const { one, provider, told } of answers) {
    const { content, toolCalls } = told.message ?? {}
    const calls = toolCalls?.map(({ name, args }) => ({ name, args }))
    expect({ fault: one.name, provider, content, calls }).toEqual({
      fault: one.name,
      provider,
      content: 'I mend the greeting now.',
      calls: SOUND.toolCalls,
    })
  }
})

test('a fault that is gone with the second request costs one more request, and the answer comes', () => {
  const seen = healed.map((cell) => [cell.one.name, cell.provider, cell.told.code, generating(cell).length])
  expect(seen).toEqual(healed.map(({ one, provider }) => [one.name, provider, 'ok', 2]))
  expect(healed.length).toBeGreaterThan(PROVIDERS.length * 12)
})

test('each fault is found in bounded time, a silent server by its deadline, and then its connection is closed', async () => {
  for (const cell of played) {
    const limitMs = DETECT_MS_MAX + (cell.one.deadline === undefined ? 0 : SHORT_MS)
    for (const { ms } of cell.told.attempts) expect(ms, `${cell.provider}: ${cell.one.name}`).toBeLessThan(limitMs)
    if (cell.one.deadline === undefined) continue
    await waitUntil(`${cell.provider} has closed: ${cell.one.name}`, () => generating(cell).every(({ ended }) => ended === 'client'))
  }
})

test('P21: nobody asks again before the time that the server has named', () => {
  const waiting = played.filter(({ one }) => one.waitMs !== undefined)
  expect(waiting).toHaveLength(PROVIDERS.length * 3)
  for (const cell of waiting) {
    const times = generating(cell).map(({ atMs }) => atMs)
    const gaps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0))
    for (const gap of gaps) expect(gap, `${cell.provider}: ${cell.one.name}`).toBeGreaterThanOrEqual((cell.one.waitMs ?? 0) - 5)
  }
})

test('the target of a redirect never receives the prompt, nor anything else', () => {
  const redirected = played.filter(({ one }) => one.fault('').kind === 'redirect')
  expect(redirected.map((cell) => [generating(cell).length, cell.strayed.length])).toEqual(redirected.map(() => [1, 0]))
  expect(redirected).toHaveLength(PROVIDERS.length * 2)
})

test('a line of 48 MB takes bounded memory, and its rest is not read', async () => {
  const huge = played.filter(({ one }) => one.fault('').kind === 'huge')
  expect(huge).toHaveLength(PROVIDERS.length)
  for (const cell of huge) {
    const [before, after] = cell.told.peakMb
    expect(after - before, `${cell.provider}, MB for ${HUGE_BYTES} bytes`).toBeLessThan(HUGE_MB_MAX)
    await waitUntil(`${cell.provider} has closed`, () => generating(cell).every(({ ended }) => ended === 'client'))
  }
})

test('nothing is printed by a client, whatever it has read', () => {
  expect(printed).toBe('')
})

/** `TROUPE_WRITE=1` writes the table anew. */
test('the page of reference prints the matrix as it is', () => {
  const path = join(import.meta.dirname, '../../../docs/reference/faults.md')
  const page = readFileSync(path, 'utf8')
  const [begin, end] = ['<!-- matrix -->\n', '\n<!-- end of matrix -->']
  const at = page.indexOf(begin) + begin.length
  const whole = page.slice(0, at) + markdown() + page.slice(page.indexOf(end))
  if (process.env['TROUPE_WRITE'] === '1') writeFileSync(path, whole)
  else expect(page).toBe(whole)
})
