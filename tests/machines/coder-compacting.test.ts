/** A coder whose conversation becomes too long, step by step; with the engine, its store and a real optimizer: tests/actors/context.test.ts. */
import { expect, test } from 'vitest'
import { call, coding, waitUntil } from './coder-play.ts'

const WINDOW = { promptTokensMax: 2_000, toolsTokens: 0, turnsMin: 2 }
const LOOP = Array.from({ length: 8 }, (_, turn) => ({ content: `Turn ${turn + 1}.`, toolCalls: [call('read', { path: `file-${turn}` })] }))
const reads = { read: ({ args }: { args: { path: string } }) => ({ content: args.path.padEnd(400, 'x'), seen: null }) } as never

function talking() {
  const played = coding({ says: [...LOOP, { content: 'Done.' }], ...(reads as object), window: WINDOW })
  const generated = () => played.effects.filter((effect) => (effect as [string])[0] === 'generate').length
  const asked = (count: number) =>
    waitUntil(
      () => played.asks.length === count,
      () => JSON.stringify([played.asks.length, played.actor.getSnapshot().value]),
    )
  const answer = (id: string, summary: string): void =>
    played.actor.send({ type: 'ask.answered', id, answer: { type: 'context.compacted', summary } })
  return { ...played, generated, asked, answer }
}

test('a coder asks for a summary before its next prompt, and goes on with it', async () => {
  const { assign, asks, asked, answer, appended, facts, generated } = talking()
  const done = assign()
  await asked(1)
  const before = generated()
  expect(asks[0]).toMatchObject({
    id: 'compact/1',
    to: '/team/optimizer',
    event: { type: 'context.compact', thread: '/team/coder/flag', item: 'flag' },
  })
  answer('compact/1', 'It read files.')
  await waitUntil(
    () => generated() > before,
    () => String(generated()),
  )
  const summary = appended.find(({ summaryOf }) => summaryOf !== undefined)!
  const { back, count } = asks[0]!.event as unknown as { back: number; count: number }
  expect(summary).toEqual({
    role: 'user',
    content: `[summary of the ${count} messages that were here]\nIt read files.`,
    summaryOf: { back, count },
  })
  expect(appended.indexOf(summary) - back).toBe(2)
  expect(facts).toMatchObject([{ type: 'context.compacted', method: 'summary', item: 'flag' }])
  expect(await done).toEqual({ type: 'task.done', summary: 'Done.' })
})

test('an answer to an earlier question is of no interest', async () => {
  const { assign, actor, asked, answer, appended } = talking()
  void assign()
  await asked(1)
  void assign()
  await asked(2)
  answer('compact/1', 'Too late.')
  expect(appended.some(({ summaryOf }) => summaryOf !== undefined)).toBe(false)
  expect(actor.getSnapshot().value).toEqual({ working: 'compacting' })
  answer('compact/2', 'In time.')
  expect(appended.filter(({ summaryOf }) => summaryOf !== undefined).map(({ content }) => content.split('\n')[1])).toEqual(['In time.'])
})

test.for(['ask.down', 'ask.timed_out', 'ask.answered'] as const)(
  'without a summary (%s) a line takes the place of what was said',
  async (type) => {
    const { assign, actor, asked, appended, facts } = talking()
    void assign()
    await asked(1)
    const answer = { type: 'context.failed', error: { code: 'E_PROVIDER_TIMEOUT', message: 'late' } }
    actor.send({
      type,
      id: 'compact/1',
      answer,
      to: '/team/optimizer',
      incarnation: 1,
      reason: { kind: 'killed' },
      status: 'timed_out',
      partial: null,
    } as never)
    expect(appended.find(({ summaryOf }) => summaryOf !== undefined)?.content).toMatch(/^\[\d+ messages that were here are left out/)
    expect(facts).toMatchObject([{ type: 'context.compacted', method: 'truncated' }])
  },
)

test('work that comes meanwhile is begun at once, and the item that was abandoned is over', async () => {
  const { assign, actor, asker, asked, answer, appended } = talking()
  void assign()
  await asked(1)
  actor.send({ type: 'task.abandon', item: 'flag', replyTo: asker } as never)
  expect(actor.getSnapshot().value).toBe('idle')
  answer('compact/1', 'Too late.')
  expect(appended.some(({ summaryOf }) => summaryOf !== undefined)).toBe(false)
})

test('without an optimizer nobody is asked, however long it becomes', async () => {
  const { assign, asks, facts } = coding({ says: [...LOOP, { content: 'Done.' }], ...(reads as object) })
  expect(await assign()).toEqual({ type: 'task.done', summary: 'Done.' })
  expect([asks, facts]).toEqual([[], []])
})
