import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { GenerateRequest, GenerateResult, Message } from '../../src/actors/provider.ts'
import { type Reply, scripted } from '../../src/actors/providers/scripted.ts'

const REPLY: Reply = {
  agent: '*',
  item: null,
  turn: null,
  match: null,
  times: null,
  reply: 'ok',
  toolCalls: [],
  tokens: null,
  delayMs: 0,
  error: null,
}
const reply = (change: Partial<Reply>): Reply => ({ ...REPLY, ...change })
const REQUEST: GenerateRequest = {
  agent: 'coder',
  item: 'parse',
  turn: 1,
  attempt: 1,
  messages: [{ role: 'user', content: '2 tests failed' }],
  tools: [],
  schema: null,
  outputTokensMax: 100,
}
const ask = (
  replies: readonly Reply[],
  change: Partial<GenerateRequest> = {},
  signal = new AbortController().signal,
): Promise<GenerateResult> => scripted(replies).generate({ ...REQUEST, ...change }, { signal, progress: () => {} })
const said = (result: GenerateResult): string => (result.ok ? result.message.content : result.code)

test('the first reply that fits wins', async () => {
  const replies = [
    reply({ agent: 'reviewer', reply: 'other agent' }),
    reply({ item: 'export', reply: 'other item' }),
    reply({ turn: 2, reply: 'other turn' }),
    reply({ match: 'tests? passed', reply: 'other message' }),
    reply({ agent: 'coder', item: 'parse', turn: 1, match: 'tests? failed', reply: 'this' }),
    reply({ reply: 'too late' }),
  ]
  expect(said(await ask(replies))).toBe('this')
})

test('a reply says where it stands, calls tools, and costs what the script says', async () => {
  const replies = [
    reply({ agent: 'reviewer' }),
    reply({ reply: null, toolCalls: [{ name: 'list', args: {} }], tokens: { input: 900, output: 120 } }),
  ]
  expect(await ask(replies, { turn: 3 })).toEqual({
    ok: true,
    message: { role: 'assistant', content: '', toolCalls: [{ id: 'call-3-1', name: 'list', args: {} }], scripted: 1 },
    usage: { inputTokens: 900, outputTokens: 120, costUsd: 0 },
    finish: 'tool_calls',
  })
})

test('data is given as JSON text, and tokens are estimated where the script gives none', async () => {
  expect(await ask([reply({ reply: { verdict: 'approved', feedback: [] } })])).toEqual({
    ok: true,
    message: { role: 'assistant', content: '{"verdict":"approved","feedback":[]}', scripted: 0 },
    usage: { inputTokens: 4, outputTokens: 9, costUsd: 0 },
    finish: 'stop',
  })
})

test('an unmatched request is E_SCRIPT_MISS with agent, item and turn, never an invented answer', async () => {
  expect(await ask([reply({ agent: 'reviewer' })], { turn: 4 })).toEqual({
    ok: false,
    code: 'E_SCRIPT_MISS',
    message: 'no scripted reply matches coder, item parse, turn 4',
    retry: 'never',
    details: { hint: 'add one under `replies:` of the task file', data: { agent: 'coder', item: 'parse', turn: 4 } },
  })
})

test('with nothing configured every request is a miss that says so', async () => {
  const result = await ask([])
  expect(result).toMatchObject({ ok: false, code: 'E_SCRIPT_MISS' })
  expect(result.ok || result.message).toMatch(/no replies are scripted and no model is configured/)
})

test('times is counted from the conversation, so a crash does not reset it', async () => {
  const replies = [reply({ reply: 'first', times: 1 }), reply({ reply: 'then' })]
  const given: Message = { role: 'assistant', content: 'first', scripted: 0 }
  expect(said(await ask(replies))).toBe('first')
  expect(said(await ask(replies, { messages: [...REQUEST.messages, given, { role: 'user', content: 'again' }], turn: 2 }))).toBe('then')
})

test('an error is given to as many attempts as it has times, then the next reply counts', async () => {
  const replies = [
    reply({ error: { code: 'E_PROVIDER_TIMEOUT', retry: 'backoff' }, reply: null, times: 2 }),
    reply({ error: { code: 'E_PROVIDER_OVERLOADED', retry: 'after' }, reply: null, times: 1 }),
    reply({ reply: 'at last' }),
  ]
  const results = await Promise.all([1, 2, 3, 4, 5].map((attempt) => ask(replies, { attempt })))
  expect(results.map(said)).toEqual(['E_PROVIDER_TIMEOUT', 'E_PROVIDER_TIMEOUT', 'E_PROVIDER_OVERLOADED', 'at last', 'at last'])
  expect(results[0]).toEqual({
    ok: false,
    code: 'E_PROVIDER_TIMEOUT',
    message: 'the script fails coder, item parse, turn 1 with E_PROVIDER_TIMEOUT',
    retry: 'backoff',
  })
})

test('an aborted answer ends at once and does not reject', async () => {
  const control = new AbortController()
  const pending = ask([reply({ delayMs: 60_000 })], {}, control.signal)
  control.abort()
  expect(await pending).toMatchObject({ ok: false, code: 'E_ABORTED' })
})

test('the same request has the same answer, whatever was asked before', async () => {
  const anyReply = fc.record({
    agent: fc.constantFrom('*', 'coder', 'reviewer'),
    turn: fc.constantFrom(null, 1, 2),
    times: fc.constantFrom(null, 1, 2),
    match: fc.constantFrom(null, 'failed'),
    error: fc.constantFrom(null, { code: 'E_PROVIDER_TIMEOUT', retry: 'backoff' as const }),
    reply: fc.constantFrom('a', 'b'),
  })
  const anyRequest = fc.record({
    agent: fc.constantFrom('coder', 'reviewer'),
    turn: fc.integer({ min: 1, max: 3 }),
    attempt: fc.integer({ min: 1, max: 4 }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyReply, { maxLength: 5 }),
      fc.array(anyRequest, { minLength: 1, maxLength: 6 }),
      async (rules, requests) => {
        const replies = rules.map((rule) => reply(rule))
        const provider = scripted(replies)
        const options = { signal: new AbortController().signal, progress: () => {} }
        for (const request of requests) await provider.generate({ ...REQUEST, ...request }, options)
        const last = { ...REQUEST, ...requests.at(-1)! }
        expect(await provider.generate(last, options)).toEqual(await scripted(replies).generate(last, options))
      },
    ),
    { numRuns: 200 },
  )
})
