/** Items whose time is up (P8), and coders that go in circles. The clock is simulated. */
import { describe, expect, test } from 'vitest'
import { play, type Reply, wants } from './orchestrator-play.ts'

const DONE = { type: 'task.done', summary: 'Done.' } as const
const late = (waitMs: number, then: Reply = null): Reply => ({ waitMs, then })
const PARTIAL = { files: ['src/export.ts'], turn: 7 }
const WORK = [
  { id: 'parse', description: 'Parse', priority: 5 },
  { id: 'export', description: 'Export', priority: 4, needs: ['parse'], deadlineMs: 60_000 },
  { id: 'docs', description: 'Docs', priority: 3, needs: ['export'] },
  { id: 'news', description: 'News', needs: ['docs'] },
  { id: 'tidy', description: 'Tidy' },
]
const assigned = (asks: readonly { id: string; event: { type: string } }[]): readonly string[] =>
  asks.filter((ask) => ask.event.type === 'task.assign').map((ask) => ask.id)

describe('the deadline of a work item', () => {
  test('ends it as timed_out with what there is; its siblings are kept and go on, what needs it is not started (P8)', async () => {
    const script = { coder: [DONE, late(60_000), DONE], abandoned: { type: 'task.abandoned', partial: PARTIAL } }
    const { outcome, asks, said, effects } = await play(script, { work: WORK })
    const actor = '/team/coder'
    const message = 'work item export was not finished within its 60000 ms'
    expect(outcome.work).toEqual([
      { id: 'parse', status: 'done', actor, attempts: 1, summary: 'Done.' },
      { id: 'export', status: 'timed_out', actor, attempts: 1, summary: message, partial: PARTIAL },
      { id: 'docs', status: 'not_started', actor, attempts: 0, summary: 'it needs export, which is not done' },
      { id: 'news', status: 'not_started', actor, attempts: 0, summary: 'it needs docs, which is not done' },
      { id: 'tidy', status: 'done', actor, attempts: 1, summary: 'Done.' },
    ])
    expect({ status: outcome.status, error: outcome.error, promoted: outcome.promoted }).toEqual({
      status: 'failed',
      error: { code: 'E_LIMIT_TIME', message, path: '/team/orchestrator' },
      promoted: false,
    })
    expect(assigned(asks)).toEqual(['task/parse/1/1', 'task/export/1/1', 'task/tidy/1/1'])
    expect(effects).toEqual(['open', 'stage', 'stage'])
    expect(said.filter((fact) => fact.type === 'work.finished')).toEqual([
      { type: 'work.finished', item: 'parse', status: 'done' },
      { type: 'work.finished', item: 'export', status: 'timed_out', partial: PARTIAL },
      { type: 'work.finished', item: 'docs', status: 'not_started' },
      { type: 'work.finished', item: 'news', status: 'not_started' },
      { type: 'work.finished', item: 'tidy', status: 'done' },
    ])
  })

  const one = (deadlineMs: number) => [{ id: 'flag', description: 'Add the flag', deadlineMs }]
  test('is one over all its rounds, not one for each', async () => {
    const reviewer = [wants('a'), wants('b'), wants('c')]
    const slow = { coder: [late(25_000, DONE)], reviewer }
    const { outcome, asks } = await play(slow, { work: one(60_000), roundsMax: 9 })
    expect(assigned(asks)).toEqual(['task/flag/1/1', 'task/flag/2/1', 'task/flag/3/1'])
    expect(outcome.work.map(({ status, attempts }) => [status, attempts])).toEqual([['timed_out', 3]])
  })

  test.each([
    [59_999, 'done'],
    [60_000, 'failed'],
  ])('of a minute, when the work takes %d ms: %s', async (waitMs, status) => {
    expect((await play({ coder: [late(waitMs, DONE)] }, { work: one(60_000) })).outcome.status).toBe(status)
  })

  test('ends with the item: the next one does not inherit what was left', async () => {
    const work = [...one(60_000), { id: 'next', description: 'Next', deadlineMs: 60_000 }, { id: 'last', description: 'Last' }]
    const { outcome } = await play({ coder: [late(50_000, DONE), late(50_000, DONE), late(900_000, DONE)] }, { work })
    expect(outcome.work.map((record) => record.status)).toEqual(['done', 'done', 'done'])
    expect(outcome.promoted).toBe(true)
  })

  test('also passes while a gate or a review is under way', async () => {
    const gated = await play({ executor: [() => late(60_000)] }, { work: one(60_000) })
    const reviewed = await play({ reviewer: [() => late(60_000)] }, { work: one(60_000) })
    for (const { outcome } of [gated, reviewed]) {
      expect({ code: outcome.error?.code, work: outcome.work[0]?.status }).toEqual({ code: 'E_LIMIT_TIME', work: 'timed_out' })
    }
  })

  test.each<[string, Reply]>([
    ['went down', 'down'],
    ['does not answer', 'timeout'],
    ['answers something else', { type: 'rejected', reasons: [] }],
  ])('passes also with a coder that %s: then nothing is known of what there is', async (_, abandoned) => {
    const { outcome } = await play({ coder: [late(60_000)], abandoned }, { work: one(60_000) })
    expect(outcome.work[0]).toMatchObject({ status: 'timed_out', partial: null })
  })
})

test('the deadline of an agent is the time of one answer: it is not asked twice, and the others go on (P8)', async () => {
  const { outcome, asks } = await play({ coder: ['timeout', DONE] }, { work: [WORK[0]!, WORK[4]!], deadlines: { coderMs: 1_000 } })
  expect(asks.filter((ask) => ask.event.type === 'task.assign').map((ask) => [ask.id, ask.timeoutMs])).toEqual([
    ['task/parse/1/1', 1_000],
    ['task/tidy/1/1', 1_000],
  ])
  expect(outcome.work.map((record) => record.status)).toEqual(['timed_out', 'done'])
  expect(outcome.error).toEqual({
    code: 'E_LIMIT_TIME',
    message: 'work item parse: /team/coder did not answer in time',
    path: '/team/coder',
  })
})

describe('a coder whose tool calls go in circles', () => {
  const escalations = (said: readonly { readonly type: string; readonly to?: unknown }[]): readonly unknown[] =>
    said.filter((fact) => fact.type === 'problem.escalated').map((fact) => fact.to)

  test('is asked for the same round once more, in a new conversation that says why', async () => {
    const { outcome, asks, said } = await play({ coder: ['circles', DONE] })
    expect(assigned(asks)).toEqual(['task/flag/1/1', 'task/flag/1/2'])
    expect(asks.slice(0, 2).map(({ event }) => [event['round'], event['conversation'], event['note']])).toEqual([
      [1, 1, null],
      [1, 2, 'The coder before you was stopped: /team/coder: tool loop, 4 times the same call with the same result: read, on flag.'],
    ])
    expect({ status: outcome.status, escalations: escalations(said) }).toEqual({ status: 'done', escalations: ['orchestrator'] })
  })

  test('and again, in this round or a later one, is for a person: the run fails with E_LOOP_ESCALATED', async () => {
    const now = await play({ coder: ['circles'] })
    const later = await play({ coder: ['circles', DONE, 'circles'], reviewer: [wants('a')] })
    for (const { outcome, said } of [now, later]) {
      expect({ code: outcome.error?.code, status: outcome.status, escalations: escalations(said) }).toEqual({
        code: 'E_LOOP_ESCALATED',
        status: 'failed',
        escalations: ['orchestrator', 'person'],
      })
      expect(outcome.error?.message).toMatch(/read, on flag; 2 coders went in circles$/)
    }
  })

  test('on another item counts from the start', async () => {
    const { outcome } = await play({ coder: ['circles', DONE, 'circles', DONE] }, { work: [WORK[0]!, WORK[4]!] })
    expect(outcome.status).toBe('done')
  })
})

describe('rounds in circles', () => {
  test('A-B-A-B ends the run at its fourth round, with a fact that says which and how often', async () => {
    const reviewer = [wants('use a map'), wants('use a list'), wants('use a map'), wants('use a list')]
    const { outcome, said } = await play({ reviewer }, { roundsMax: 9 })
    expect(outcome.error?.message).toContain('oscillation loop')
    expect(said.filter((fact) => fact.type === 'loop.detected')).toEqual([
      {
        type: 'loop.detected',
        kind: 'oscillation',
        signature: expect.stringMatching(/^[0-9a-f]{16}$/),
        count: 2,
        item: 'flag',
        did: 'escalated',
      },
    ])
  })

  test('a coder that changes nothing though changes were asked for ends the run', async () => {
    const { outcome } = await play({ reviewer: [wants('a'), wants('b')], trees: ['tree-1'] })
    expect(outcome.error?.message).toBe(
      '/team/orchestrator: no progress, changes were asked for 2 times and nothing was changed on flag: b',
    )
  })

  test('how many are too many comes from the task', async () => {
    const same = { reviewer: [wants('mend it')] }
    const three = await play(same, { loops: { maxConsecutiveRetries: 3 }, roundsMax: 9 })
    expect(three.asks.filter((ask) => ask.event.type === 'review.request').length).toBe(3)
    expect(three.outcome.error?.code).toBe('E_LOOP_ESCALATED')
  })

  test('what was sent back about one item counts for no other', async () => {
    const reviewer = [wants('mend it'), (ask: object) => approval(ask), wants('mend it'), (ask: object) => approval(ask)]
    const { outcome } = await play({ reviewer }, { work: [WORK[0]!, WORK[4]!] })
    expect(outcome.work.map(({ status, attempts }) => [status, attempts])).toEqual([
      ['done', 2],
      ['done', 2],
    ])
  })
})

const approval = (ask: object): Reply => ({ type: 'review.given', verdict: 'approved', feedback: [], tree: (ask as { tree: string }).tree })
