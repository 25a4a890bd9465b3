import { expect, test } from 'vitest'
import type { Message } from '../../src/machines/vocabulary.ts'
import { ASSIGN, call, coding, waitUntil } from './coder-play.ts'

const shape = (messages: readonly Message[]): readonly string[] => messages.map(({ role, content }) => `${role}: ${content.split('\n')[0]}`)

test('an item is done by tool calls one after the other, and each result is said in the conversation', async () => {
  const { assign, effects, appended } = coding({
    says: [
      { content: 'I look.', toolCalls: [call('read', { path: './src/cli.ts' }), call('edit', { path: 'src/cli.ts', old: 'a', new: 'b' })] },
      { toolCalls: [call('done', { summary: 'Added --version.' })] },
    ],
    read: () => ({ content: 'const a = 1', seen: { path: 'src/cli.ts', hash: 'h1' } }),
  })
  expect(await assign()).toEqual({ type: 'task.done', summary: 'Added --version.' })
  expect(shape(appended)).toEqual([
    ...['system: You code.', 'user: Work item flag (implementation): Add the flag', 'assistant: I look.'],
    ...['tool: const a = 1', 'tool: wrote src/cli.ts', 'assistant: ', 'tool: done'],
  ])
  expect(appended[1]?.content).toBe(
    'Work item flag (implementation): Add the flag\nIt is part of this goal: Add a flag\nFiles that matter: src/cli.ts\nInput: {"name":"version"}',
  )
  const plan = { path: 'src/cli.ts', before: 'h1', after: 'h2', content: 'x' }
  expect(effects.map((effect) => (effect as [string])[0])).toEqual(['generate', 'read', 'planWrite', 'write', 'generate'])
  expect(effects[2]).toEqual(['planWrite', { dir: '/staged', tool: 'edit', args: { path: 'src/cli.ts', old: 'a', new: 'b' }, seen: 'h1' }])
  expect(effects[3]).toEqual(['write', { dir: '/staged', plan }])
  expect(effects[4]).toMatchObject(['generate', { thread: '/team/coder/flag', turn: 2, item: 'flag', format: 'text' }])
})

test('a write after a write is planned against what was written, not against what was read', async () => {
  const { assign, effects } = coding({
    says: [
      { toolCalls: [call('write', { path: 'src/cli.ts', content: '1' }, 'a'), call('write', { path: 'src/cli.ts', content: '2' }, 'b')] },
      { content: 'ok' },
    ],
  })
  await assign()
  const seen = effects
    .filter((effect) => (effect as [string])[0] === 'planWrite')
    .map((effect) => (effect as [string, { seen: string | null }])[1].seen)
  expect(seen).toEqual([null, 'h2'])
})

test('an answer without tool calls ends the round with its text', async () => {
  expect(await coding({ says: [{ content: 'Nothing to do.' }] }).assign()).toEqual({ type: 'task.done', summary: 'Nothing to do.' })
})

test('what a tool refuses is told to the model, and so is a tool that does not exist', async () => {
  const refuse = (): never => {
    throw { code: 'E_WRITE_REFUSED', message: 'src/cli.ts changed since it was read' }
  }
  const { assign, appended } = coding({
    says: [
      { toolCalls: [call('write', { path: 'src/cli.ts', content: '' }), call('rm', {}), call('read', { path: 'x' })] },
      { content: 'I stop.' },
    ],
    planWrite: refuse,
    read: refuse,
  })
  expect((await assign()).type).toBe('task.done')
  expect(appended.filter((message) => message.role === 'tool').map(({ toolCallId, content }) => [toolCallId, content])).toEqual([
    ['c-write', 'error[E_WRITE_REFUSED] src/cli.ts changed since it was read'],
    ['c-rm', "there is no tool 'rm'; there are: list, read, search, edit, write, done"],
    ['c-read', 'error[E_WRITE_REFUSED] src/cli.ts changed since it was read'],
  ])
})

test('feedback continues the same conversation: no second role, turns go on counting', async () => {
  const { assign, effects, appended } = coding({ says: [{ content: 'Done.' }] })
  await assign()
  const before = appended.length
  await assign({ round: 2, feedback: 'WORKFLOW FAILURE: test failed' })
  expect(appended.slice(before)[0]).toEqual({
    role: 'user',
    content: 'Round 2. Your change is not accepted yet:\nWORKFLOW FAILURE: test failed',
  })
  expect(effects[1]).toMatchObject(['generate', { turn: 2 }])
})

test('turns that are used up end the work with E_LIMIT_TURNS, and another round grants no fresh ones', async () => {
  const { assign, effects } = coding({ says: [{ toolCalls: [call('list', {})] }], iterationsMax: 3 })
  const failed = {
    type: 'task.failed',
    error: { code: 'E_LIMIT_TURNS', message: '/team/coder used 3 of 3 turns without finishing', path: '/team/coder' },
  }
  expect(await assign()).toEqual(failed)
  expect(await assign({ round: 2, feedback: 'go on' })).toEqual(failed)
  expect(effects.filter((effect) => (effect as [string])[0] === 'generate').length).toBe(3)
})

test('a model that fails ends the work with its code', async () => {
  const { assign } = coding({ says: [{ code: 'E_SCRIPT_MISS', message: 'no reply' }] })
  expect(await assign()).toEqual({ type: 'task.failed', error: { code: 'E_SCRIPT_MISS', message: 'no reply' } })
})

test('asked again for the same round it goes on where it stands and answers the new asker', async () => {
  const held: (() => void)[] = []
  const { actor, assign, effects, appended } = coding({
    says: [{ toolCalls: [call('list', {}), call('done', { summary: 'Done.' })] }],
    read: () => new Promise((resolve) => held.push(() => resolve({ content: '[]', seen: null }))),
  })
  const first = assign()
  await waitUntil(
    () => held.length === 1,
    () => JSON.stringify(effects),
  )
  const again = assign()
  await waitUntil(
    () => held.length === 2,
    () => JSON.stringify(actor.getSnapshot().value),
  )
  for (const release of held) release()
  await Promise.race([first, again])
  expect(await again).toEqual({ type: 'task.done', summary: 'Done.' })
  expect(effects.map((effect) => (effect as [string])[0])).toEqual(['generate', 'read', 'read'])
  expect(shape(appended).filter((line) => line.startsWith('user'))).toEqual(['user: Work item flag (implementation): Add the flag'])
})

test('an assignment that does not fit is rejected with reasons, and disturbs nothing', async () => {
  const { assign, actor, appended } = coding({ says: [{ content: 'Done.' }] })
  expect(await assign({ round: 0, item: { id: 'flag' } })).toEqual({
    type: 'rejected',
    reasons: ['item.description: Invalid input: expected string, received undefined', 'round: Too small: expected number to be >=1'],
  })
  expect({ state: actor.getSnapshot().value, appended }).toEqual({ state: 'idle', appended: [] })
})

test('an assignment that nobody waits for changes nothing', () => {
  const { actor } = coding({ says: [{ content: 'Done.' }] })
  actor.send(ASSIGN as never)
  actor.send({ type: 'task.assign' } as never)
  expect(actor.getSnapshot().value).toBe('idle')
})

test('a shutdown is taken while it rests', () => {
  const { actor } = coding({ says: [{ content: 'Done.' }] })
  actor.send({ type: 'shutdown' })
  expect(actor.getSnapshot().status).toBe('done')
})

test('its context stays plain data of bounded size while its conversation grows', async () => {
  const { assign, actor } = coding({
    says: [...Array.from({ length: 20 }, (_, i) => ({ toolCalls: [call('list', { path: `${i}` })] })), { content: 'x'.repeat(50_000) }],
  })
  await assign()
  const { replyTo: _, ...context } = actor.getSnapshot().context
  expect(JSON.parse(JSON.stringify(context))).toEqual(context)
  expect(JSON.stringify(context).length).toBeLessThan(4_096)
})
