/** A coder whose tool calls go in circles (P4, P5), and what there is of its work when it is abandoned (P8). */
import { expect, test } from 'vitest'
import type { AnyActorRef } from 'xstate'
import type { Message } from '../../src/machines/vocabulary.ts'
import { EXIT_KEY } from '../../src/protocol.ts'
import { ASSIGN, call, coding, waitUntil } from './coder-play.ts'

const again = (count: number, name: string, args: object) => Array.from({ length: count }, () => ({ toolCalls: [call(name, args)] }))
const toolResults = (messages: readonly Message[]): readonly string[] =>
  messages.filter((message) => message.role === 'tool').map((message) => message.content)
const kinds = (effects: readonly unknown[]): readonly string[] => effects.map((effect) => (effect as [string])[0])

test('the same read again is nudged, then not performed, and then its life ends with E_LOOP_ESCALATED', async () => {
  const { actor, effects, appended, facts, answers } = coding({ says: again(9, 'read', { path: 'a.ts' }) })
  actor.send({ ...ASSIGN, replyTo: actor as AnyActorRef } as never)
  await waitUntil(
    () => actor.getSnapshot().status !== 'active',
    () => JSON.stringify(toolResults(appended)),
  )
  expect(toolResults(appended)).toEqual([
    'text',
    'text\n[read was called 2 times with these arguments and gave the same. It will not change: go another way, or call done.]',
    expect.stringMatching(/^not done: read with these arguments gave the same each time/),
    'not done: the same call again and again',
  ])
  expect(kinds(effects)).toEqual(['generate', 'read', 'generate', 'read', 'generate', 'generate'])
  const message = '/team/coder: tool loop, 4 times the same call with the same result: read, on flag'
  expect(actor.getSnapshot().output).toEqual({
    [EXIT_KEY]: { kind: 'error', error: { code: 'E_LOOP_ESCALATED', message, path: '/team/coder' } },
  })
  const loop = { type: 'loop.detected', kind: 'tool', signature: expect.stringMatching(/^[0-9a-f]{16}$/), item: 'flag', tool: 'read' }
  expect(facts).toEqual([
    { ...loop, count: 3, did: 'blocked' },
    { ...loop, count: 4, did: 'escalated' },
    { type: 'problem.escalated', to: 'supervisor', code: 'E_LOOP_ESCALATED', item: 'flag' },
  ])
  expect(answers).toEqual([])
})

test('writes that succeed each time and change nothing end it as well (P4)', async () => {
  const { actor, effects } = coding({ says: again(9, 'write', { path: 'src/cli.ts', content: 'x' }) })
  actor.send({ ...ASSIGN, replyTo: actor as AnyActorRef } as never)
  await waitUntil(
    () => actor.getSnapshot().status !== 'active',
    () => JSON.stringify(kinds(effects)),
  )
  expect(kinds(effects).filter((kind) => kind === 'write').length).toBe(2)
})

test('calls of one answer are blocked and do not end it: only a model that was told can be stubborn', async () => {
  const calls = Array.from({ length: 6 }, (_, i) => call('read', { path: 'a.ts' }, `c${i}`))
  const { assign, appended } = coding({ says: [{ toolCalls: calls }, { content: 'Done.' }] })
  expect((await assign()).type).toBe('task.done')
  expect(toolResults(appended).map((content) => content.slice(0, 8))).toEqual(['text', 'text\n[re', ...Array(4).fill('not done')])
})

test('a coder that goes another way after a block goes on; so does one that reads the same files in each round', async () => {
  const says = [
    ...[...again(3, 'read', { path: 'a.ts' }), { toolCalls: [call('done', { summary: 'One.' })] }],
    ...[...again(2, 'read', { path: 'a.ts' }), { toolCalls: [call('done', { summary: 'Two.' })] }],
  ]
  const { assign } = coding({ says })
  expect(await assign()).toEqual({ type: 'task.done', summary: 'One.' })
  expect(await assign({ round: 2, feedback: 'mend it' })).toEqual({ type: 'task.done', summary: 'Two.' })
})

test('reads between edits that change the workspace are no loop', async () => {
  let version = 0
  const cycle = Array.from({ length: 10 }, (_, i) => [
    { toolCalls: [call('read', { path: 'b.ts' })] },
    { toolCalls: [call('edit', { path: 'src/cli.ts', old: `${i}`, new: `${i + 1}` })] },
  ])
  const { assign, facts } = coding({
    says: [...cycle.flat(), { content: 'Done.' }],
    read: () => ({ content: 'b', seen: { path: 'b.ts', hash: 'hb' } }),
    write: () => ({ path: 'src/cli.ts', hash: `h${++version}` }),
  })
  expect({ ...(await assign()), facts }).toEqual({ type: 'task.done', summary: 'Done.', facts: [] })
})

test('polling is exempt until its deadline has passed without anything new, which then is told, and then ends its life', async () => {
  const loops = { polling: ['read status*'], pollingMs: 60_000 }
  const held: ((content: string) => void)[] = []
  const read = () => new Promise((resolve) => held.push((content) => resolve({ content, seen: null })))
  const { actor, appended, clock } = coding({ says: again(99, 'read', { path: 'status.txt' }), read, loops, iterationsMax: 50 })
  actor.send({ ...ASSIGN, replyTo: actor as AnyActorRef } as never)
  const poll = async (content: string, waitMs: number): Promise<void> => {
    await waitUntil(
      () => held.length > 0,
      () => JSON.stringify(toolResults(appended)),
    )
    clock.increment(waitMs)
    held.shift()!(content)
  }
  for (let i = 0; i < 6; i++) await poll('1 of 2', 9_000)
  for (let i = 0; i < 6; i++) await poll('2 of 2', 9_000)
  await poll('2 of 2', 9_000)
  expect(actor.getSnapshot().status).toBe('active')
  // The first sight of `2 of 2` was at 63 s; a minute later its time is up.
  await poll('2 of 2', 9_000)
  await waitUntil(
    () => actor.getSnapshot().status !== 'active',
    () => JSON.stringify(toolResults(appended)),
  )
  expect(toolResults(appended).slice(-2)).toEqual([
    'not done: read was polled for too long and showed nothing new. Go another way, or call done and say what is missing.',
    'not done: the same call again and again',
  ])
})

test('abandoned, it says what it has written and stops; asked about another item it says that it has nothing', async () => {
  const held: (() => void)[] = []
  const { actor, asker, answers, appended } = coding({
    says: [{ toolCalls: [call('write', { path: './src/cli.ts', content: 'x' }), call('read', { path: 'b.ts' })] }],
    read: () => new Promise((resolve) => held.push(() => resolve({ content: '', seen: null }))),
  })
  actor.send({ ...ASSIGN, replyTo: asker as AnyActorRef } as never)
  await waitUntil(
    () => held.length === 1,
    () => JSON.stringify(appended),
  )
  expect(actor.getSnapshot().context.partial).toEqual({ files: ['src/cli.ts'], turn: 1 })
  actor.send({ type: 'task.abandon', item: 'other', replyTo: asker as AnyActorRef } as never)
  expect(actor.getSnapshot().value).toEqual({ working: 'reading' })
  actor.send({ type: 'task.abandon', item: 'flag', replyTo: asker as AnyActorRef } as never)
  expect(answers).toEqual([
    { type: 'task.abandoned', partial: null },
    { type: 'task.abandoned', partial: { files: ['src/cli.ts'], turn: 1 } },
  ])
  expect({ state: actor.getSnapshot().value, last: toolResults(appended).at(-1) }).toEqual({
    state: 'idle',
    last: 'not done: the time of the item is up',
  })
})

test('another conversation about the same item begins with the role, the item, and why', async () => {
  const { assign, appended, effects } = coding({ says: [{ content: 'Done.' }] })
  await assign({ conversation: 2, note: 'The coder before you was stopped: a loop.' })
  expect(appended.map(({ role, content }) => `${role}: ${content.split('\n')[0]}`)).toEqual([
    'system: You code.',
    'user: Work item flag (implementation): Add the flag',
    'user: You begin anew, and the files stay as they are. The coder before you was stopped: a loop.',
    'assistant: Done.',
  ])
  expect(effects[0]).toMatchObject(['generate', { thread: '/team/coder/flag~2', item: 'flag', turn: 1 }])
})
