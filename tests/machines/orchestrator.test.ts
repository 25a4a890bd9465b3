import { describe, expect, test } from 'vitest'
import { approves, gateOf, play, wants } from './orchestrator-play.ts'

const kinds = (asks: readonly { id: string }[]): readonly string[] => asks.map((ask) => ask.id)
const told = (asks: readonly { event: { feedback?: unknown; type: string } }[]): readonly unknown[] =>
  asks.filter((ask) => ask.event.type === 'task.assign').map((ask) => ask.event.feedback)

describe('the way of a work item', () => {
  test('an item is done, checked, reviewed, sent back once and promoted, with evidence for exactly the promoted tree', async () => {
    const { outcome, asks, effects, facts } = await play({ reviewer: [wants('Name it --version.'), approves] })
    expect(outcome).toEqual({
      status: 'done',
      summary: 'Added the flag.',
      verification: { level: 'verified', gates: [{ id: 'test', status: 'passed', tree: 'tree-2' }] },
      promoted: true,
      tree: 'tree-2',
      files: ['src/flag.ts'],
      added: 3,
      removed: 1,
      work: [{ id: 'flag', status: 'done', actor: '/team/coder', attempts: 2, summary: 'Added the flag.' }],
      error: null,
      reasons: [],
    })
    const rounds = ['task/flag/1/1', 'gate/flag/1/1', 'review/flag/1/1', 'task/flag/2/1', 'gate/flag/2/1', 'review/flag/2/1']
    expect(kinds(asks)).toEqual(rounds)
    expect(told(asks)).toEqual([null, 'Name it --version.'])
    expect(effects).toEqual(['open', 'stage', 'stage', 'plan', 'promote tree-2'])
    expect(facts).toEqual([
      ...['work.accepted', 'work.assigned', 'change.staged', 'gate.passed', 'review.given'],
      ...['work.assigned', 'change.staged', 'gate.passed', 'review.given', 'work.finished', 'change.promoted'],
    ])
  })

  test('a failed gate goes back to the coder as WORKFLOW FAILURE with the end of its output, before any review (R6.1)', async () => {
    const { outcome, asks } = await play({ executor: [(ask) => gateOf(ask, false, 'expected 3, got 4'), (ask) => gateOf(ask, true)] })
    expect(kinds(asks)).toEqual(['task/flag/1/1', 'gate/flag/1/1', 'task/flag/2/1', 'gate/flag/2/1', 'review/flag/2/1'])
    expect(told(asks)).toEqual([null, 'WORKFLOW FAILURE: test failed with exit code 1\n--- test ---\nexpected 3, got 4'])
    expect(outcome.status).toBe('done')
  })

  test('items go in the order of their needs and priorities, one after the other, and share one promotion', async () => {
    const work = [
      { id: 'docs', description: 'Describe it', priority: 9, needs: ['flag'] },
      { id: 'flag', description: 'Add it', priority: 1 },
      { id: 'first', description: 'Tidy up', priority: 5 },
    ]
    const { outcome, asks, effects } = await play({}, { work })
    expect(asks.filter((ask) => ask.event.type === 'task.assign').map((ask) => ask.id)).toEqual([
      'task/first/1/1',
      'task/flag/1/1',
      'task/docs/1/1',
    ])
    expect(outcome.work.map((record) => record.id)).toEqual(['first', 'flag', 'docs'])
    expect(effects).toEqual(['open', 'stage', 'stage', 'stage', 'plan', 'promote tree-3'])
  })

  test('with nothing changed there is nothing to promote', async () => {
    const { outcome, effects } = await play({ files: [] })
    expect({ status: outcome.status, promoted: outcome.promoted, effects }).toEqual({
      status: 'done',
      promoted: false,
      effects: ['open', 'stage'],
    })
  })

  test('promote: never leaves the change staged', async () => {
    const { outcome, effects } = await play({}, { workspace: { source: '/project', mode: 'copy', promote: 'never' } })
    expect({ status: outcome.status, promoted: outcome.promoted, effects }).toEqual({
      status: 'done',
      promoted: false,
      effects: ['open', 'stage'],
    })
  })
})

describe('levels of a gate', () => {
  const checks = [{ id: 'test', run: 'npm test' }]
  test('warn promotes a change whose gate failed, and calls it unverified (R6.2)', async () => {
    const { outcome, facts } = await play({ executor: [(ask) => gateOf(ask, false)] }, { gates: { level: 'warn', checks } })
    expect(outcome.promoted).toBe(true)
    expect(outcome.verification).toEqual({ level: 'unverified', gates: [{ id: 'test', status: 'failed', tree: 'tree-1' }] })
    expect(facts).toContain('gate.failed')
  })

  test('off asks no executor and calls the change unverified (R6.3)', async () => {
    const { outcome, asks } = await play({}, { gates: { level: 'off', checks } })
    expect(kinds(asks)).toEqual(['task/flag/1/1', 'review/flag/1/1'])
    expect({ promoted: outcome.promoted, verification: outcome.verification }).toEqual({
      promoted: true,
      verification: { level: 'unverified', gates: [] },
    })
  })

  test('nothing checked is nothing verified, also under strict (P23)', async () => {
    const { outcome } = await play({}, { gates: { level: 'strict', checks: [] } })
    expect(outcome.verification).toEqual({ level: 'unverified', gates: [] })
  })
})

describe('rounds that lead nowhere', () => {
  test('the same feedback twice in a row ends the run, whatever its case and its durations (R1.1)', async () => {
    const { outcome, asks, facts } = await play({ reviewer: [wants('Took 12 ms.  Too slow'), wants('took 90ms. too slow')] })
    expect({ status: outcome.status, code: outcome.error?.code, promoted: outcome.promoted }).toEqual({
      status: 'failed',
      code: 'E_LOOP_ESCALATED',
      promoted: false,
    })
    expect(asks.filter((ask) => ask.event.type === 'review.request').length).toBe(2)
    expect(facts.slice(-2)).toEqual(['loop.detected', 'problem.escalated'])
  })

  test('other feedback is another round (R1.2), until no round is left', async () => {
    const reviewer = ['one', 'two', 'three', 'four'].map((line) => wants(line))
    const { outcome, asks } = await play({ reviewer })
    expect(asks.filter((ask) => ask.event.type === 'task.assign').length).toBe(3)
    expect(outcome.error).toEqual({
      code: 'E_RUN_FAILED',
      message: 'work item flag is not accepted after 3 rounds; last: three',
      path: '/team/orchestrator',
    })
    expect(outcome.work).toEqual([
      {
        id: 'flag',
        status: 'failed',
        actor: '/team/coder',
        attempts: 3,
        summary: 'work item flag is not accepted after 3 rounds; last: three',
      },
    ])
  })

  test('a gate that never passes ends the run with E_GATE_FAILED', async () => {
    let failures = 0
    const { outcome, effects } = await play({ executor: [(ask) => gateOf(ask, false, `${failures++} tests left`)] }, { roundsMax: 2 })
    expect({ code: outcome.error?.code, effects }).toEqual({ code: 'E_GATE_FAILED', effects: ['open', 'stage', 'stage'] })
  })
})

describe('the door', () => {
  test('work that does not fit is rejected with every reason, and nothing is opened (M7)', async () => {
    const work = [{ id: 'a' }, { id: 'b', description: 'x', phase: 'deploy', priority: 10 }, { id: '1', description: 'x', colour: 'red' }]
    const { outcome, effects, facts } = await play({}, { work })
    expect(outcome.status).toBe('rejected')
    expect(outcome.reasons.map((reason) => reason.split(':')[0])).toEqual([
      ...['work.0.description', 'work.1.phase', 'work.1.priority'],
      ...['work.2.id', 'work.2'],
    ])
    expect({ effects, facts, promoted: outcome.promoted }).toEqual({ effects: [], facts: ['work.rejected'], promoted: false })
  })

  test.each([
    ['ids that are used twice', [item('a'), item('a')], ['work.a: the id is used more than once']],
    ['needs that do not exist', [item('a', ['b'])], ["work.a.needs: there is no item 'b'"]],
    ['needs in a circle', [item('a', ['b']), item('b', ['a']), item('c')], ['work: a, b need each other in a circle']],
    ['no items at all', [], ['work: Too small: expected array to have >=1 items']],
  ])('%s are rejected', async (_, work, reasons) => {
    expect((await play({}, { work })).outcome.reasons).toEqual(reasons)
  })

  test('neither goal nor work is rejected', async () => {
    const { outcome } = await play({}, { goal: ' ', work: null })
    expect(outcome.reasons).toEqual(['goal: there is neither a goal nor work'])
  })
})

function item(id: string, needs: readonly string[] = []) {
  return { id, description: id, needs }
}

describe('planning', () => {
  const PLAN = '{"work": [{"id": "one", "description": "Do it"}]}'
  test('a goal alone is planned, and the plan is done', async () => {
    const { outcome, appends, effects } = await play({ plans: [`\`\`\`json\n${PLAN}\n\`\`\``] }, { work: null })
    expect(outcome.work.map((record) => record.id)).toEqual(['one'])
    expect(effects[0]).toBe('generate')
    expect(appends.map(({ thread, items }) => [thread, items.length])).toEqual([
      ['/team/orchestrator/plan', 2],
      ['/team/orchestrator/plan', 1],
    ])
  })

  test('a plan that does not fit may be repaired once', async () => {
    const { outcome, appends } = await play({ plans: ['I would start with...', PLAN] }, { work: null })
    expect(outcome.status).toBe('done')
    expect(appends[1]?.items[1]).toEqual({
      role: 'user',
      content: 'Your answer could not be used:\n- the answer is not JSON\nAnswer again with the JSON alone.',
    })
  })

  test('the second plan that does not fit ends the run with E_PROVIDER_OUTPUT', async () => {
    const { outcome, effects } = await play({ plans: ['no', '{"work": []}'] }, { work: null })
    expect({ status: outcome.status, code: outcome.error?.code, effects }).toEqual({
      status: 'failed',
      code: 'E_PROVIDER_OUTPUT',
      effects: ['generate', 'generate'],
    })
  })
})

describe('failures', () => {
  test('what stopped the coder is the reason of the run (M10: API failure)', async () => {
    const error = { code: 'E_SCRIPT_MISS', message: 'no scripted reply matches coder, item flag, turn 1', hint: 'add one' }
    const { outcome } = await play({ coder: [{ type: 'task.failed', error }] })
    expect({ status: outcome.status, error: outcome.error, summary: outcome.summary }).toEqual({
      status: 'failed',
      error,
      summary: error.message,
    })
  })

  test.each(['generate', 'open', 'stage', 'plan', 'promote'])('a failed effect %s ends the run with its code', async (name) => {
    const { outcome } = await play(
      { fails: { [name]: { code: 'E_WORKSPACE_CHANGED', message: 'changed' } } },
      name === 'generate' ? { work: null } : {},
    )
    expect({ status: outcome.status, code: outcome.error?.code, promoted: outcome.promoted }).toEqual({
      status: 'failed',
      code: 'E_WORKSPACE_CHANGED',
      promoted: false,
    })
  })

  test('a peer that went down is asked once more for the same round', async () => {
    const { outcome, asks } = await play({ coder: ['down', { type: 'task.done', summary: 'Done.' }] })
    expect(kinds(asks).slice(0, 2)).toEqual(['task/flag/1/1', 'task/flag/1/2'])
    expect(outcome.work).toEqual([{ id: 'flag', status: 'done', actor: '/team/coder', attempts: 1, summary: 'Done.' }])
  })

  test('a peer that went down twice ends the run with the error of the peer', async () => {
    const { outcome } = await play({ coder: ['down'] })
    expect(outcome.error).toEqual({ code: 'E_DEFECT', message: '/team/coder went down twice: boom' })
  })

  test.each([
    ['executor', { executor: [() => 'timeout' as const] }],
    ['reviewer', { reviewer: [() => 'timeout' as const] }],
    ['coder', { coder: ['timeout' as const] }],
  ])('the %s that does not answer in time is asked twice, then the run fails', async (name, script) => {
    const { outcome, asks } = await play(script)
    expect(asks.filter((ask) => ask.to === `/team/${name}` && ask.event.type !== 'task.abandon').length).toBe(2)
    const message = `work item flag: /team/${name} did not answer in time, 2 times`
    expect(outcome.error).toEqual({ code: 'E_LIMIT_TIME', message, path: `/team/${name}` })
  })

  test('an answer that does not fit ends the run; it counts for nothing', async () => {
    const { outcome } = await play({ reviewer: [() => ({ type: 'review.given', verdict: 'fine', feedback: [], tree: 'tree-1' })] })
    expect({ status: outcome.status, promoted: outcome.promoted, code: outcome.error?.code }).toEqual({
      status: 'failed',
      promoted: false,
      code: 'E_DEFECT',
    })
  })

  test('a request that a peer rejects ends the run with its reasons', async () => {
    const { outcome } = await play({ executor: [() => ({ type: 'rejected', reasons: ['tree: wrong'] })] })
    expect(outcome.error?.message).toBe('/team/executor rejected it: ["tree: wrong"]')
  })
})
