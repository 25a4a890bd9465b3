/** Named actions: rows like effects, without an answer. They are performed after their commit, by this life of the process or the next. */
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { only, openLife, temporaryFolder, waitUntil } from '../harness.ts'

/** Writes a line by a named action, in its first step, when it is told, and in its last. */
function diary(lines: string[]) {
  const write = (_: unknown, { text }: { text: string }): void => void lines.push(text)
  const kid = setup({ actions: { write } }).createMachine({
    id: 'kid',
    entry: { type: 'write', params: { text: 'kid' } },
    initial: 'gone',
    states: { gone: { type: 'final' } },
  })
  return setup({ types: { events: {} as { type: 'note' | 'end' | 'last.breath' } }, actions: { write }, actors: { kid } }).createMachine({
    id: 'diary',
    initial: 'open',
    states: {
      open: { on: { note: 'noted', end: 'closed' } },
      noted: { entry: { type: 'write', params: { text: 'noted' } }, invoke: { src: 'kid', id: 'kid' }, on: { end: 'closed' } },
      closed: { type: 'final', entry: { type: 'write', params: { text: 'closed' } } },
    },
  })
}

test('a named action is performed after its commit, also of an actor that has ended in that very step', async () => {
  const lines: string[] = []
  const { troupe, store } = openLife(temporaryFolder(), { machines: { diary: diary(lines) } })
  const session = await troupe.start(only('diary'))
  await session.send('/top/one', { type: 'note' })
  await waitUntil(
    'both lines are written',
    () => store.effects(session.id).filter(({ status }) => status === 'succeeded').length === 2,
    () => store.effects(session.id),
  )
  expect(lines).toEqual(['noted', 'kid'])
})

test('a named action that was not performed when the process died is performed by the next', async () => {
  const folder = temporaryFolder()
  const lines: string[] = []
  const first = openLife(folder, {
    machines: { diary: diary(lines) },
    onCommit: ({ effects }) => {
      if (effects.some(({ effect }) => effect.status === 'started')) throw new Error('dies here')
    },
  })
  const session = await first.troupe.start(only('diary'))
  await session.send('/top/one', { type: 'note' })
  await session.done().catch(() => {})
  expect(lines).toEqual([])
  await first.kill()
  const { troupe } = openLife(folder, { machines: { diary: diary(lines) } })
  await troupe.resume(session.id)
  await waitUntil(
    'both lines are written',
    () => lines.length === 2,
    () => lines,
  )
  expect(lines).toEqual(['noted', 'kid'])
})

test('a named action of the last step of a run is performed before the run ends', async () => {
  const lines: string[] = []
  const { troupe, store } = openLife(temporaryFolder(), { machines: { diary: diary(lines) } })
  const session = await troupe.start(only('diary'))
  await session.send('/top/one', { type: 'end' })
  await session.done()
  expect({ lines, rows: store.effects(session.id).map(({ status }) => status) }).toEqual({ lines: ['closed'], rows: ['succeeded'] })
})
