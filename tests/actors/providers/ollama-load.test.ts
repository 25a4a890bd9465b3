/**
 * Cold starts of local models (P19): they are told as what they are, have their own time, and are cut off by nobody but the engine.
 */
import { expect, test, vi } from 'vitest'
import type { Seen } from '../../wire/server.ts'
import { request } from './ollama-request.ts'
import { stage, until } from './ollama-stage.ts'

const COLD = [{ name: 'qwen3:8b', loadMs: 150 }] as const
const NEVER = [{ name: 'qwen3:8b', loadMs: 'never' }] as const
const paths = (log: readonly Seen[]): readonly string[] => log.map(({ path }) => path.replace('/api/', ''))
const LOADED = [{ loading: true }, { loading: false }, 'started']

test('a model that is not in memory is loaded first, and said to load until it is there', async () => {
  const { call, server, generate } = await stage({ models: COLD, script: [{ text: 'Hello.' }, { text: 'Again.' }] })
  const { result, said } = call(request({}, { keepAliveMs: 90_000 }))
  await until('it loads', () => said.length === 1)
  expect(said).toEqual([{ loading: true }])
  expect(await result).toMatchObject({ ok: true })
  expect(said).toEqual([...LOADED, { text: 'Hello.' }])
  expect(server.log.find(({ path }) => path === '/api/generate')?.body).toEqual({
    model: 'qwen3:8b',
    prompt: '',
    stream: false,
    shift: false,
    keep_alive: '90000ms',
    options: { num_ctx: 8_192 },
  })
  await generate()
  expect(paths(server.log).toSorted()).toEqual(['chat', 'chat', 'generate', 'ps', 'ps', 'show'])
})

test('a model in memory with another window is loaded again, so it counts as cold', async () => {
  const { call, server } = await stage({ script: [{ text: 'a' }, { text: 'b' }, { text: 'c' }] })
  await call().result
  const wide = call(request({}, { contextTokens: 16_384 }))
  await wide.result
  expect(wide.said.slice(0, 3)).toEqual(LOADED)
  const larger = call(request({}, { contextTokens: 1_000_000 }))
  await larger.result
  expect(server.loaded.get('qwen3:8b')).toBe(40_960)
  expect(larger.said.slice(0, 3)).toEqual(LOADED)
})

test('a window larger than the model was made for is compared as the window that it gets', async () => {
  const { call } = await stage({ script: [{ text: 'a' }, { text: 'b' }] })
  await call(request({}, { contextTokens: 1_000_000 })).result
  const again = call(request({}, { contextTokens: 1_000_000 }))
  await again.result
  expect(again.said[0]).toBe('started')
})

test('who asks while the model is being loaded waits with it', async () => {
  const { call, server } = await stage({ models: COLD, script: [{ text: 'a' }, { text: 'b' }] })
  const first = call()
  await until('it loads', () => first.said.length === 1)
  const second = call()
  await Promise.all([first.result, second.result])
  expect([first.said.slice(0, 3), second.said.slice(0, 3)]).toEqual([LOADED, LOADED])
  expect(paths(server.log).filter((path) => path === 'generate')).toHaveLength(2)
})

test('an abort while it loads reaches the server, which ends the load', async () => {
  const { call, server, chats } = await stage({ models: NEVER })
  const { result, said, abort } = call()
  const load = () => server.log.find(({ path }) => path === '/api/generate')
  await until('it loads', () => said.length === 1 && load() !== undefined)
  expect(load()?.ended).toBeNull()
  abort()
  expect(await result).toMatchObject({ ok: false, code: 'E_ABORTED' })
  await until('the server knows', () => load()?.ended === 'client')
  expect(chats()).toEqual([])
})

test('a server that holds back the list of loaded models is loading', async () => {
  const faults = ({ path }: Seen) => (path === '/api/ps' ? ({ kind: 'hang', after: 0 } as const) : undefined)
  const { call, server } = await stage({ faults, script: [{ text: 'Hello.' }] })
  const { result, said } = call()
  expect(await result).toMatchObject({ ok: true })
  expect(said).toEqual([...LOADED, { text: 'Hello.' }])
  expect(server.log.find(({ path }) => path === '/api/ps')?.ended).toBe('client')
})

test('a server without that list is asked at once, and has begun with its first word', async () => {
  const faults = ({ path }: Seen) => (path === '/api/ps' ? ({ kind: 'status', status: 404, message: 'no such page' } as const) : undefined)
  const { call } = await stage({ faults, models: COLD, script: [{ text: 'Hello.' }] })
  const { result, said } = call()
  expect(await result).toMatchObject({ ok: true })
  expect(said).toEqual([{ text: 'Hello.' }])
})

test('a model that cannot be loaded is that failure, and no chat is asked for', async () => {
  const message = 'model requires more system memory (9.3 GiB) than is available (4.1 GiB)'
  const faults = ({ path }: Seen) => (path === '/api/generate' ? ({ kind: 'status', status: 500, message } as const) : undefined)
  const { call, chats } = await stage({ faults, models: COLD })
  expect(await call().result).toMatchObject({ ok: false, code: 'E_PROVIDER_REFUSED', retry: 'never' })
  expect(chats()).toEqual([])
})

test('behind a proxy that passes on the chat alone, the chat loads the model', async () => {
  const faults = ({ path }: Seen) => (path === '/api/generate' ? ({ kind: 'status', status: 404 } as const) : undefined)
  const { call } = await stage({ faults, models: COLD, script: [{ text: 'Hello.' }] })
  expect(await call().result).toMatchObject({ ok: true })
})

test("no request goes through Node's own fetch, which would cut a load after five minutes", async () => {
  vi.stubGlobal('fetch', () => Promise.reject(new Error('cut')))
  const { call } = await stage({ models: COLD, script: [{ text: 'Hello.' }] })
  const result = await call().result
  vi.unstubAllGlobals()
  expect(result).toMatchObject({ ok: true })
})
