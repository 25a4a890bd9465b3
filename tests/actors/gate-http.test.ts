/** The gate over real HTTP: each form of Retry-After reaches it, and many coders share a server that answers 429 without a herd. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { GatePause } from '../../src/actors/hosted-gate.ts'
import type { GenerateRequest, GenerateResult } from '../../src/actors/provider.ts'
import { providerGates } from '../../src/actors/provider-gate.ts'
import { systemClock } from '../../src/runtime/clocks/system.ts'
import { classify } from '../../src/runtime/transient.ts'
import { openLife, temporaryFolder } from '../harness.ts'
import { type Arrival, answer, caller, gatedHandler, toldBy, windowOf } from './gated-calls.ts'

/** Answers 200, or 429 with these headers. */
async function serve(refuse: (agent: string, number: number) => Record<string, string> | null) {
  const arrivals: Arrival[] = []
  const server = createServer((request, response) => {
    const agent = request.url!.slice(1)
    const headers = refuse(agent, arrivals.length + 1)
    arrivals.push({ atMs: performance.now(), agent, isRefused: headers !== null })
    response.writeHead(headers === null ? 200 : 429, headers ?? {})
    response.end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const generate = async ({ agent }: GenerateRequest, { signal }: { signal: AbortSignal }): Promise<GenerateResult> => {
    const response = await fetch(`http://127.0.0.1:${port}/${agent}`, { signal })
    await response.text()
    if (response.ok) return answer(`to ${agent}`)
    const { retry, retryAfterMs } = classify(response, systemClock.wallMs())
    return {
      ok: false,
      code: 'E_PROVIDER_OVERLOADED',
      message: `status ${response.status}`,
      retry,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    }
  }
  return { arrivals, generate }
}

const coders = (count: number, calls: number) => ({
  id: 'top',
  autoShutdown: 'all_significant' as const,
  children: Array.from({ length: count }, (_, n) => ({
    id: `c${n}`,
    src: 'caller',
    restart: 'transient' as const,
    significant: true,
    input: { name: `c${n}`, calls },
  })),
})

test.each([
  ['seconds', () => ({ 'retry-after': '30' })],
  ['an HTTP date', () => ({ 'retry-after': new Date(systemClock.wallMs() + 30_000).toUTCString() })],
  ['milliseconds', () => ({ 'retry-after-ms': '29750' })],
])('A13: a Retry-After in %s pauses the gate for that long', async (_, headers) => {
  const server = await serve(headers)
  const gates = providerGates({ clock: systemClock })
  const heard = Promise.withResolvers<GatePause>()
  gates.subscribe(heard.resolve)
  const life = openLife(temporaryFolder(), { machines: { caller }, effects: { 'llm.generate': gatedHandler(server, gates) } })
  const session = await life.troupe.start(coders(3, 1))
  const { untilMs, reason } = await heard.promise
  const leftMs = untilMs - systemClock.wallMs()
  expect(reason).toBe('rate_limit')
  expect(leftMs).toBeGreaterThan(28_500)
  expect(leftMs).toBeLessThanOrEqual(30_000)
  await session.stop()
})

test('P21: 40 coders share a server over HTTP that takes 20 calls a second: spread out after the first limit, all of them are answered', async () => {
  const limit = windowOf(20, 1_000)
  const forms = [
    (leftMs: number) => ({ 'retry-after': String(Math.ceil(leftMs / 1_000)) }),
    (leftMs: number) => ({ 'retry-after-ms': String(Math.ceil(leftMs)) }),
    (leftMs: number) => ({ 'retry-after': new Date(systemClock.wallMs() + leftMs + 1_000).toUTCString() }),
  ]
  const { arrivals, generate } = await serve((_, number) => {
    const leftMs = limit(performance.now())
    return leftMs === null ? null : forms[number % 3]!(leftMs)
  })
  const gates = providerGates({ clock: systemClock, settings: () => ({ concurrency: 4 }) })
  const life = openLife(temporaryFolder(), { machines: { caller }, effects: { 'llm.generate': gatedHandler({ generate }, gates) } })
  const session = await life.troupe.start(coders(40, 1))
  await session.done()
  const answers = Object.values(toldBy(life.store, session.id)).toSorted()
  expect(answers).toEqual(Array.from({ length: 40 }, (_, n) => [`to c${n}`]).toSorted())
  const first = arrivals.findIndex(({ isRefused }) => isRefused)
  const later = arrivals.slice(first + 4)
  const buckets = Map.groupBy(later, ({ atMs }) => Math.floor((atMs - later[0]!.atMs) / 250))
  const histogram = [...buckets].map(([bucket, calls]) => `${bucket * 250} ms: ${calls.length}`).join(', ')
  process.stdout.write(`${arrivals.length} calls, ${arrivals.filter(({ isRefused }) => isRefused).length} refused; ${histogram}\n`)
  expect(Math.max(...[...buckets.values()].map(({ length }) => length)), histogram).toBeLessThanOrEqual(8)
  expect(arrivals.filter(({ isRefused }) => isRefused).length).toBeLessThanOrEqual(10)
}, 30_000)
