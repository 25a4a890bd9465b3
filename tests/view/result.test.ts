import { expect, test } from 'vitest'
import { exitOf } from '../../src/catalogue.ts'
import { agentsIn, castOf, tokensByActor } from '../../src/view/actors.ts'
import { doneTwiceSilently } from '../../src/view/doubles.ts'
import { PLAIN } from '../../src/view/look.ts'
import { canGoOn, outcomeOf, standingOf } from '../../src/view/outcome.ts'
import { type Report, resultNotes, resultObject, resultTree } from '../../src/view/result.ts'
import { actorFrame, EFFECTS, RUN, result, runRow, START, STORY, teamOutput } from './samples.ts'

function report(more: Partial<Parameters<typeof result>[0]> = {}): Report {
  const done = result(more)
  return {
    result: done,
    outcome: outcomeOf(done, '01M7W3MA', 2),
    cast: castOf(STORY),
    tokens: tokensByActor(EFFECTS),
    recovery: null,
    short: '01M7W3MA',
  }
}

test('the actors of a run are read off its journal: lives, restarts, the last crash, the end, the items', () => {
  expect(castOf(STORY).get('/team/coder')).toEqual({
    address: '/team/coder',
    parent: '/team',
    machine: 'coder',
    version: '3',
    incarnation: 2,
    restarts: 1,
    causes: ['E_PROVIDER_TIMEOUT'],
    crash: 'E_PROVIDER_TIMEOUT',
    end: 'stopped',
    startedAt: START,
    endedAt: START + 102_000,
    items: ['parse'],
  })
  expect(agentsIn(castOf(STORY))).toBe(2)
})

test('the final tree shows every actor with its end, its time, its tokens and its restarts', () => {
  expect(resultTree(report(), PLAIN)).toEqual([
    '✓ team                succeeded, verified   1m42s   41.8k tok   simulated',
    '├─ ✓ coder#2          done   parse          1m42s      1k tok   1 restart (E_PROVIDER_TIMEOUT)',
    '└─ ✓ lead             done                  1m41s       0 tok',
  ])
})

test('the final tree says why each actor was restarted, each reason once, and with what a run has failed', () => {
  const again = (code: string, more = {}) =>
    actorFrame('actor.restarted', '/team/coder', { reason: { kind: 'error', error: { code } }, ...more }, { inc: 3 })
  const story = [...STORY, again('E_WEDGED'), again('E_WEDGED', { group: 'coder' }), again('E_DEFECT', { group: 'lead' })]
  const failed = report({ status: 'failed', reason: { code: 'E_LOOP_ESCALATED', message: 'm' } })
  const [root, coder] = resultTree({ ...failed, cast: castOf(story) }, PLAIN)
  expect([root, coder?.slice(coder.indexOf('4 restarts'))]).toEqual([
    '✗ team                failed: E_LOOP_ESCALATED   1m42s   41.8k tok   simulated',
    '4 restarts (E_PROVIDER_TIMEOUT, E_WEDGED, with lead)',
  ])
})

test('under the tree stands what was verified and changed; what was only staged says so', () => {
  expect(resultNotes(report())).toEqual([
    'verification  gate `test` passed on tree 9c1f2ab, the tree that was promoted',
    'changes       2 files +212 -8   look: troupe show 01M7W3MA',
  ])
  expect(
    resultNotes(
      report({ output: teamOutput({ promoted: false, verification: { level: 'unverified', gates: [] } }), repeated: 2, promises: 1 }),
    ),
  ).toEqual([
    'verification  none: no gate has passed on this tree',
    'changes       2 files +212 -8, staged only   look: troupe show 01M7W3MA',
    'after a stop  2 effects started again: by policy, or a probe showed that it was not applied',
    'note: named actions and plain promises, 1 in all, have no idempotency key: done at least once',
  ])
})

test('troupe.result/1 has every key, and the error of a run that ended badly', () => {
  expect(resultObject(report())).toEqual({
    schema: 'troupe.result/1',
    type: 'result',
    run: RUN,
    name: 'csv-export',
    status: 'succeeded',
    reason: null,
    exit: 0,
    simulated: true,
    startedAt: '2026-11-20T09:12:04.118Z',
    endedAt: '2026-11-20T09:13:46.122Z',
    durationMs: 102_004,
    position: 412,
    output: teamOutput(),
    verification: { level: 'verified', gates: [{ id: 'test', status: 'passed', tree: '9c1f2ab0d7' }] },
    workspace: { promoted: true, tree: '9c1f2ab0d7', files: 2, added: 212, removed: 8 },
    work: [{ id: 'parse', status: 'done', actor: '/team/coder', attempts: 1, summary: 'quoted' }],
    pending: [],
    usage: {
      inputTokens: 35_120,
      outputTokens: 6_690,
      costUsd: 0,
      costBasis: 'simulated',
      actors: 2,
      restarts: 1,
      effects: 57,
      inDoubt: 0,
    },
    models: [],
    repeated: 0,
    resume: null,
    recovery: null,
    error: null,
  })
  const failed = resultObject(
    report({
      status: 'failed',
      reason: { code: 'E_GATE_FAILED', message: 'gate `test` failed', path: '/team/lead' },
      output: teamOutput({ status: 'failed', error: { code: 'E_GATE_FAILED', message: 'gate `test` failed', path: '/team/lead' } }),
    }),
  )
  expect([failed['status'], failed['exit'], failed['error']]).toEqual([
    'failed',
    1,
    {
      schema: 'troupe.error/1',
      code: 'E_GATE_FAILED',
      exit: 1,
      where: '/team/lead',
      message: 'gate `test` failed',
      file: null,
      line: null,
      column: null,
      fix: "troupe logs 01M7W3MA --type 'gate.*'",
      retryable: false,
      details: { run: RUN, path: '/team/lead', state: null, event: null, workItem: null, cause: null },
    },
  ])
})

test.each([
  [{ status: 'succeeded' }, 'succeeded', 0, null],
  [
    {
      status: 'failed',
      reason: { code: 'E_LIMIT_TURNS', message: 'm' },
      output: teamOutput({ status: 'failed', error: { code: 'E_LIMIT_TURNS', message: 'm' } }),
    },
    'failed',
    6,
    'E_LIMIT_TURNS',
  ],
  [
    {
      status: 'failed',
      reason: { code: 'E_SCRIPT_MISS', message: 'm' },
      output: teamOutput({ status: 'failed', error: { code: 'E_SCRIPT_MISS', message: 'm' } }),
    },
    'failed',
    8,
    'E_SCRIPT_MISS',
  ],
  [
    {
      status: 'failed',
      reason: { code: 'E_WORK_REJECTED', message: 'm' },
      output: teamOutput({ status: 'rejected', reasons: ['work.0.id: bad'] }),
    },
    'failed',
    1,
    'E_WORK_REJECTED',
  ],
  [{ status: 'failed', output: null, reason: { code: 'E_SUPERVISOR_GAVE_UP', message: 'm' } }, 'failed', 1, 'E_SUPERVISOR_GAVE_UP'],
  [{ status: 'failed', output: null, reason: { code: 'MY_OWN', message: 'm' } }, 'failed', 1, 'MY_OWN'],
  [{ status: 'suspended', output: null, reason: { code: 'E_EFFECT_IN_DOUBT', message: 'm' } }, 'suspended', 7, 'E_EFFECT_IN_DOUBT'],
  [{ status: 'limited', output: null, reason: { code: 'E_LIMIT_TOKENS', message: 'm' } }, 'limited', 6, 'E_LIMIT_TOKENS'],
  [
    { status: 'interrupted', output: null, reason: { code: 'E_INTERRUPTED', message: 'after SIGTERM', exit: 143 } },
    'interrupted',
    143,
    'E_INTERRUPTED',
  ],
  [{ status: 'canceled', output: null, reason: { code: 'E_RUN_CANCELED', message: 'm' } }, 'canceled', 1, 'E_RUN_CANCELED'],
  [{ status: 'quarantined', output: null, reason: { code: 'E_RUN_QUARANTINED', message: 'm' } }, 'quarantined', 1, 'E_RUN_QUARANTINED'],
] as const)('a result %j stands %s and exits %d with %s', (more, standing, exit, code) => {
  const outcome = outcomeOf(result(more), '01M7W3MA', 2)
  expect([outcome.standing, outcome.exit, outcome.problem?.code ?? null]).toEqual([standing, exit, code])
})

test('an interrupted run says where it is saved, what is open, and the command that goes on', () => {
  const { problem, resume } = outcomeOf(
    result({ status: 'interrupted', output: null, reason: { code: 'E_INTERRUPTED', message: 'after Ctrl-C', exit: 130 } }),
    '01M7W3MA',
    2,
  )
  expect([problem?.message, problem?.options.fix, problem?.options.retryable, resume]).toEqual([
    'saved at #412 after Ctrl-C, 2 effects still open',
    'troupe resume 01M7W3MA',
    true,
    'troupe resume 01M7W3MA',
  ])
})

test('a run whose process is gone has crashed, and can go on; so can one that met a limit', () => {
  expect([standingOf(runRow(), true), standingOf(runRow(), false)]).toEqual(['running', 'crashed'])
  expect([canGoOn('crashed'), canGoOn('limited'), canGoOn('running'), canGoOn('succeeded')]).toEqual([true, true, false, false])
})

test('codes of machines that the catalogue does not know are failures', () => {
  expect([exitOf('E_WHATEVER'), exitOf('E_RUN_OWNED'), exitOf('E_INTERNAL')]).toEqual([1, 10, 70])
})

const started = actorFrame('effect.started', '/a', { id: 'e1' })
const succeeded = actorFrame('effect.succeeded', '/a', { id: 'e1' })
test.each([
  ['once', [started, succeeded], 0],
  ['again after a scheduled retry', [started, actorFrame('retry.scheduled', '/a', { effect: 'e1' }), started, succeeded], 0],
  ['again by policy after a crash', [started, actorFrame('effect.proved', '/a', { id: 'e1', verdict: 'repeat' }), started, succeeded], 0],
  ['not again where it was applied', [started, actorFrame('effect.proved', '/a', { id: 'e1', verdict: 'applied' }), succeeded], 0],
  ['again without a word', [started, started, succeeded], 1],
  ['again although it was applied', [started, actorFrame('effect.proved', '/a', { id: 'e1', verdict: 'applied' }), started, succeeded], 1],
  ['with two outcomes', [started, succeeded, succeeded], 1],
] as const)('an effect that was done %s counts as doubled silently: %s', (_how, frames, doubled) => {
  expect(doneTwiceSilently(frames)).toBe(doubled)
})
