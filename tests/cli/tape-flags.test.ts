/** `run --record` and `run --replay` of the program itself: what is said to a real server is on the tape, and the tape alone answers afterwards. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openaiServer } from '../wire/openai.ts'
import { given, place, troupe } from './process.ts'

const KEY = 'test-key-of-nobody'
const TASK = 'goal: Say hello.\nworkspace: {mode: copy, dir: work}\nwork: [{id: hello, description: Say hello}]\n'

test('what a run records is answered again without a key and without a server, and within the budget that it had', async () => {
  const server = await openaiServer({
    apiKey: KEY,
    models: ['m'],
    script: ({ body }) => {
      const { messages, tools = [] } = body as { messages: readonly { role: string }[]; tools?: readonly unknown[] }
      if (tools.length === 0) return { text: '{"verdict":"approved","feedback":[]}' }
      const isWritten = messages.some(({ role }) => role === 'tool')
      const call = isWritten
        ? { name: 'done', args: { summary: 'It says hello.' } }
        : { name: 'write', args: { path: 'hello.txt', content: 'hi' } }
      return { toolCalls: [call] }
    },
  })
  onTestFinished(() => server.close().catch(() => undefined))
  const at = place()
  const work = join(at.dir, 'work')
  mkdirSync(work)
  const models = '[models.coder]\nprovider = "openai-compatible"\nname = "m"\nnum_ctx = 16000\n'
  const price = '[pricing]\n"openai-compatible/m" = { input = 3, output = 15 }\n'
  given(at, 'troupe.toml', `${models}[providers.openai-compatible]\nbase_url = "${server.url}/v1"\n${price}`)
  given(at, 'hello.yaml', TASK)
  const recorded = await troupe(at, ['run', 'hello.yaml', '-q', '--record', 'tapes/hello.jsonl', '--max-usd', '1'], {
    env: { OPENAI_API_KEY: KEY },
  })
  expect([recorded.exit, server.log.length], recorded.err).toEqual([0, 3])
  const tape = readFileSync(join(at.dir, 'tapes/hello.jsonl'), 'utf8')
  expect([tape.trim().split('\n').length, tape.includes(KEY)]).toEqual([3, false])
  await server.close()
  rmSync(join(work, 'hello.txt'))
  const replayed = await troupe(at, ['run', 'hello.yaml', '-q', '--replay', 'tapes/hello.jsonl', '--strict', '--max-usd', '1'])
  expect([replayed.exit, server.log.length], replayed.err).toEqual([0, 3])
  expect(readFileSync(join(work, 'hello.txt'), 'utf8')).toBe('hi')
})
