/** Watching: history first, then live, each fact once and in order, for as long as the run lasts. */
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { z } from 'zod'
import { createTroupe } from '../../src/actors/troupe.ts'
import { effect } from '../../src/effect.ts'
import { WATCH_LAG_ENTRIES_MAX } from '../../src/limits.ts'
import type { Frame } from '../../src/runtime/engine.ts'
import { memoryStore } from '../../src/runtime/stores/memory.ts'
import { factsOf, only, openLife, temporaryFolder, waitUntil } from '../harness.ts'
import { counter } from './counter.ts'

const machines = { counter }
const tree = only('counter')

async function collect(frames: AsyncIterable<Frame>, into: Frame[]): Promise<Frame[]> {
  for await (const frame of frames) into.push(frame)
  return into
}
const facts = (frames: readonly Frame[]) => frames.map(({ pos, type, path, inc, cause, data }) => ({ pos, type, path, inc, cause, data }))

test('a watcher sees the whole journal once and in order, history and what comes after alike, and ends with the run', async () => {
  const { troupe, store } = openLife(temporaryFolder(), { machines })
  const session = await troupe.start(tree)
  await session.send('/top/one', { type: 'add', n: 1 })
  const seen: Frame[] = []
  const watched = collect(session.watch(), seen)
  await waitUntil('history has come', () => seen.length >= 6)
  await session.send('/top/one', { type: 'add', n: 2 })
  await waitUntil('the new step has come', () => seen.filter(({ type }) => type === 'message.accepted').length === 2)
  await session.send('/top/one', { type: 'end' })
  await watched
  expect(facts(seen)).toEqual(factsOf(store, session.id))
  expect(seen.at(-1)?.type).toBe('run.finished')
})

test('watchers from different positions each get what lies after theirs, and one that leaves disturbs nobody', async () => {
  const { troupe, store } = openLife(temporaryFolder(), { machines })
  const session = await troupe.start(tree)
  const { position } = await session.send('/top/one', { type: 'add', n: 1 })
  const [all, late, left]: [Frame[], Frame[], Frame[]] = [[], [], []]
  const watching = [collect(session.watch(), all), collect(session.watch({ since: position }), late)]
  for await (const frame of session.watch()) {
    left.push(frame)
    if (left.length === 2) break
  }
  await session.send('/top/one', { type: 'end' })
  await Promise.all(watching)
  const journal = factsOf(store, session.id)
  expect({ all: facts(all), late: facts(late), left: facts(left) }).toEqual({
    all: journal,
    late: journal.filter(({ pos }) => pos > position),
    left: journal.slice(0, 2),
  })
})

test('a watcher of more than one page of history misses nothing', { timeout: 60_000 }, async () => {
  const { troupe, store } = openLife(temporaryFolder(), { machines })
  const session = await troupe.start(tree)
  await Promise.all(Array.from({ length: 700 }, (_, n) => session.send('/top/one', { type: 'add', n })))
  const seen: Frame[] = []
  const watched = collect(session.watch(), seen)
  await session.send('/top/one', { type: 'end' })
  await watched
  expect(facts(seen)).toEqual(factsOf(store, session.id))
  expect(seen.length).toBeGreaterThan(1_400)
})

test('a watcher of a run that is over gets its history and ends', async () => {
  const { troupe, store } = openLife(temporaryFolder(), { machines })
  const session = await troupe.start(tree)
  await session.stop()
  expect(facts(await collect(session.watch(), []))).toEqual(factsOf(store, session.id))
})

test('progress of an effect is seen live and is not in the journal', async () => {
  const talk = effect({ kind: 'talk.stream', input: z.undefined(), output: z.string(), repeat: 'repeat' })
  const speaker = setup({ actors: { talk } }).createMachine({
    id: 'speaker',
    initial: 'talking',
    states: { talking: { invoke: { src: 'talk', onDone: 'done' } }, done: { type: 'final' } },
  })
  const gate = Promise.withResolvers<void>()
  const effects = {
    talk: {
      perform: async ({ progress }: { progress: (data: string) => void }) => {
        await gate.promise
        for (const word of ['to', 'be']) progress(word)
        return 'to be'
      },
    },
  }
  const { troupe, store } = openLife(temporaryFolder(), { machines: { speaker }, effects: effects as never })
  const session = await troupe.start(only('speaker'))
  const seen: Frame[] = []
  const watched = collect(session.watch(), seen)
  await waitUntil('it speaks', () => seen.some(({ type }) => type === 'effect.started'))
  gate.resolve()
  await watched
  const live = seen.filter(({ pos }) => pos === null)
  expect(live.map(({ type, path, data }) => ({ type, path, data }))).toEqual([
    { type: 'live.progress', path: '/top/one', data: { effect: 'e1', data: 'to' } },
    { type: 'live.progress', path: '/top/one', data: { effect: 'e1', data: 'be' } },
  ])
  expect(facts(seen.filter(({ pos }) => pos !== null))).toEqual(factsOf(store, session.id))
})

/** A run in memory that is sent to faster than anybody reads, with a watcher who stops after its first frames until all is done. */
async function outrun(gaps: 'tell' | 'fill'): Promise<{ frames: Frame[]; journal: number }> {
  const store = memoryStore()
  const session = await createTroupe({ store, machines }).start(tree)
  await session.send('/top/one', { type: 'add', n: 0 })
  const free = Promise.withResolvers<void>()
  const frames: Frame[] = []
  const reading = (async () => {
    for await (const frame of session.watch({ gaps })) {
      if (frames.push(frame) === 3) await free.promise
    }
  })()
  await waitUntil('it reads', () => frames.length === 3)
  const sends = Math.ceil(WATCH_LAG_ENTRIES_MAX / 2) + 500
  for (let sent = 0; sent < sends; sent += 500)
    await Promise.all(Array.from({ length: 500 }, () => session.send('/top/one', { type: 'add', n: 1 })))
  free.resolve()
  await session.send('/top/one', { type: 'end' })
  await reading
  return { frames, journal: store.run(session.id)!.position }
}

test('a watcher that lags too far is told of the gap with its positions, and goes on near the end', { timeout: 60_000 }, async () => {
  const { frames, journal } = await outrun('tell')
  const gaps = frames.filter(({ type }) => type === 'live.gap').map(({ data }) => data as { from: number; to: number; missed: number })
  const positions = frames.flatMap(({ pos }) => (pos === null ? [] : [pos]))
  const missed = gaps.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index))
  expect({ gaps: gaps.length, sum: gaps.map(({ from, to, missed: count }) => count === to - from + 1) }).toEqual({ gaps: 1, sum: [true] })
  expect([...positions, ...missed].sort((a, b) => a - b)).toEqual(Array.from({ length: journal }, (_, index) => index + 1))
  expect(frames.at(-1)?.type).toBe('run.finished')
})

test('a watcher that wants all of it gets all of it, however late', { timeout: 60_000 }, async () => {
  const { frames, journal } = await outrun('fill')
  expect(frames.map(({ pos }) => pos)).toEqual(Array.from({ length: journal }, (_, index) => index + 1))
})

test('a watcher that throws or leaves disturbs neither the run nor other watchers', async () => {
  const store = memoryStore()
  const session = await createTroupe({ store, machines }).start(tree)
  const all: Frame[] = []
  const watching = collect(session.watch(), all)
  const thrower = (async () => {
    for await (const frame of session.watch()) if (frame.pos === 3) throw new Error('its own affair')
  })()
  await expect(thrower).rejects.toThrow('its own affair')
  await session.send('/top/one', { type: 'end' })
  await watching
  expect(all.map(({ pos }) => pos)).toEqual(Array.from({ length: store.run(session.id)!.position }, (_, index) => index + 1))
})

test('a watcher that waits leaves at once when it is told to, without an event', async () => {
  const session = await createTroupe({ store: memoryStore(), machines }).start(tree)
  const frames = session.watch()[Symbol.asyncIterator]()
  for (let seen = 0; seen < 3; seen++) await frames.next()
  await session.send('/top/one', { type: 'add', n: 1 })
  let last = await frames.next()
  while (last.value?.type !== 'step.committed' || last.value.path !== '/top/one' || last.value.data['handled'] !== true)
    last = await frames.next()
  const waiting = frames.next()
  await frames.return?.()
  expect((await waiting).done).toBe(true)
  await session.stop()
})
