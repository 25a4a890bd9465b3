/** What is shown of a run: its actors, its end, its recovery, its row. */
import { expect, test } from 'vitest'
import { exitOf } from '../../src/catalogue.ts'
import type { CellView } from '../../src/runtime/engine.ts'
import { agentsIn, castOf, tokensByActor } from '../../src/view/actors.ts'
import { doneTwiceSilently } from '../../src/view/doubles.ts'
import { PLAIN } from '../../src/view/look.ts'
import { canGoOn, outcomeOf, standingOf } from '../../src/view/outcome.ts'
import { recoveryLines, verdictWords } from '../../src/view/recovery.ts'
import { type Report, resultNotes, resultObject, resultTree } from '../../src/view/result.ts'
import { isSafe, type RunItem, recoverObject, recoverTable, runObject, runTable } from '../../src/view/runs.ts'
import { castView, effectTable, sceneLines, stateWords } from '../../src/view/show.ts'
import { actorFrame, effectRow, frame, RUN, recovery, result, runRow, START, teamOutput } from './samples.ts'

const at = (ms: number) => ({ at: new Date(START + ms).toISOString() })
const STORY = [
  frame('run.started'),
  actorFrame('actor.started', '/team', { machine: 'troupe.supervisor', version: '1', parent: null }),
  actorFrame('actor.started', '/team/coder', { machine: 'coder', version: '3', parent: '/team' }),
  actorFrame('actor.started', '/team/lead', { machine: 'orchestrator', version: '1', parent: '/team' }, at(1_000)),
  actorFrame('work.assigned', '/team/lead', { item: 'parse', to: '/team/coder' }, at(1_000)),
  actorFrame('work.assigned', '/team/lead', { item: 'parse', to: '/team/coder', round: 2 }, at(2_000)),
  actorFrame('actor.crashed', '/team/coder', { code: 'E_PROVIDER_TIMEOUT' }, at(3_000)),
  actorFrame('actor.restarted', '/team/coder', { reason: 'x' }, { inc: 2, ...at(4_000) }),
  actorFrame('actor.stopped', '/team/lead', { reason: { kind: 'normal' } }, at(102_000)),
  actorFrame('actor.stopped', '/team/coder', { reason: { kind: 'shutdown', detail: 'ordered' } }, { inc: 2, ...at(102_000) }),
  actorFrame('actor.stopped', '/team', { reason: { kind: 'shutdown', detail: 'completed' } }, at(102_004)),
]
const EFFECTS = [
  effectRow({ usage: { inputTokens: 900, outputTokens: 100, costUsd: 0, simulated: true } }),
  effectRow({ id: 'e13', usage: { inputTokens: 40, outputTokens: 2, costUsd: 0, simulated: true } }),
]

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
    'note: 1 action without an idempotency key, done at least once',
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
    repeated: 0,
    resume: null,
    recovery: null,
    error: null,
  })
  const failed = resultObject(
    report({
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
    { status: 'succeeded', output: teamOutput({ status: 'failed', error: { code: 'E_LIMIT_TURNS', message: 'm' } }) },
    'failed',
    6,
    'E_LIMIT_TURNS',
  ],
  [
    { status: 'succeeded', output: teamOutput({ status: 'failed', error: { code: 'E_SCRIPT_MISS', message: 'm' } }) },
    'failed',
    8,
    'E_SCRIPT_MISS',
  ],
  [{ status: 'succeeded', output: teamOutput({ status: 'rejected', reasons: ['work.0.id: bad'] }) }, 'failed', 1, 'E_WORK_REJECTED'],
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

test('a run whose process is gone has crashed, and can go on; one whose deadline has passed cannot', () => {
  expect([standingOf(runRow(), true), standingOf(runRow(), false)]).toEqual(['running', 'crashed'])
  expect([canGoOn('crashed', null), canGoOn('running', null), canGoOn('succeeded', null)]).toEqual([true, false, false])
  expect([canGoOn('limited', { code: 'E_LIMIT_TOKENS', message: '' }), canGoOn('limited', { code: 'E_LIMIT_TIME', message: '' })]).toEqual([
    true,
    false,
  ])
})

test('codes of machines that the catalogue does not know are failures', () => {
  expect([exitOf('E_WHATEVER'), exitOf('E_RUN_OWNED'), exitOf('E_INTERNAL')]).toEqual([1, 10, 70])
})

const FOUND = [
  {
    id: 'e207',
    kind: 'file.write',
    path: '/team/coder-1',
    policy: 'prove',
    verdict: 'applied',
    evidence: 'sha256 equal',
    what: 'src/csv.ts',
  },
  { id: 'e211', kind: 'git.commit', path: '/team/coder-2', policy: 'prove', verdict: 'not_applied', evidence: 'no trailer', what: 'csv' },
  { id: 'e214', kind: 'llm.generate', path: '/team/reviewer', policy: 'repeat', verdict: 'repeat', evidence: null, what: '' },
  { id: 'e215', kind: 'webhook.post', path: '/team/executor', policy: 'ask', verdict: 'in_doubt', evidence: 'no probe exists', what: 'ci' },
] as const

test('a resume tells what it found: every open effect with its verdict and the evidence, timers, mail, epoch', () => {
  const found = recovery({ effects: FOUND, timersOverdue: 1, timersPending: 2, mail: 3, strays: [{ pid: 9, command: 'npm test' }] })
  const lines = recoveryLines(
    { recovery: found, before: { name: 'csv-export', status: 'running', reason: null }, short: '01M7W3MA', nowMs: START + 120_000 },
    PLAIN,
  )
  expect(lines).toEqual([
    'run 01M7W3MA  csv-export  stopped 2m ago at #388: process 4121 is gone, no goodbye',
    'journal ok (388 entries, chain intact)',
    'ended stray process 9 `npm test`',
    '4 effects were open:',
    '  ✓ e207  file.write    /team/coder-1   src/csv.ts  applied      sha256 equal',
    '  ✗ e211  git.commit    /team/coder-2   csv         not applied  no trailer; done now',
    '  ↻ e214  llm.generate  /team/reviewer              repeat       policy repeat',
    '  ? e215  webhook.post  /team/executor  ci          in doubt     no probe exists; parked',
    'timers 1 overdue, fired; 2 pending   mailboxes 3 events kept   epoch 2',
  ])
})

test('a resume after Ctrl-C says so, and verdicts are counted', () => {
  const before = { name: null, status: 'interrupted', reason: { code: 'E_INTERRUPTED', message: 'after Ctrl-C' } } as const
  expect(recoveryLines({ recovery: recovery({ position: 1 }), before, short: '01M7W3MA', nowMs: START + 800 }, PLAIN).slice(0, 3)).toEqual([
    'run 01M7W3MA  stopped 0.8s ago at #1: interrupted after Ctrl-C',
    'journal ok (1 entry, chain intact)',
    'no effect was open',
  ])
  expect(verdictWords(FOUND)).toBe('1 applied, 1 not applied and done now, 1 repeated, 1 in doubt')
})

function item(more: Partial<RunItem> = {}, row: Parameters<typeof runRow>[0] = {}): RunItem {
  return { row: runRow(row), owned: true, short: '01M7W3MA', actors: 4, effects: EFFECTS, simulated: false, ...more }
}
const NOW = { nowMs: START + 74_000, tabs: false }

test('ps shows standing with its evidence, time, tokens and cost', () => {
  const items = [
    item(),
    item(
      { short: '01M7W2Y9', effects: [effectRow({ status: 'in_doubt' })], simulated: true },
      { status: 'suspended', name: null, endedAt: START + 192_000 },
    ),
    item({ short: '01M7VRRM' }, { status: 'succeeded', output: teamOutput(), endedAt: START + 542_000 }),
    item({ short: '01M7VAAA', owned: false }),
  ]
  expect(runTable(items, PLAIN, NOW)).toEqual([
    '   RUN       NAME        STATUS                                 ACTORS  STARTED  TIME   TOKENS  COST',
    '●  01M7W3MA  csv-export  running, pid 4121                      4       1m ago   1m14s  1k      simulated',
    '‖  01M7W2Y9  -           waits for you: 1 in doubt              4       1m ago   3m12s  0       simulated',
    '✓  01M7VRRM  csv-export  succeeded, verified                    4       1m ago   9m02s  1k      simulated',
    '✗  01M7VAAA  csv-export  crashed: pid 4121 is gone, no goodbye  4       1m ago   1m00s  1k      simulated',
  ])
})

test('an item of troupe.runs/1 has every key; a price that nobody knows is null', () => {
  expect(runObject(item({ effects: [effectRow({ usage: { inputTokens: 5, outputTokens: 5, costUsd: null } })] }), NOW.nowMs)).toEqual({
    run: RUN,
    name: 'csv-export',
    status: 'running',
    reason: null,
    verification: null,
    project: '/p',
    pid: 4121,
    host: 'build-1',
    actors: 4,
    position: 388,
    startedAt: '2026-11-20T09:12:04.118Z',
    endedAt: null,
    durationMs: 74_000,
    tokens: 10,
    costUsd: null,
    costBasis: 'unknown',
    pending: [],
  })
})

test('recover tells what stands and why, and what will be in doubt', () => {
  const crashed = item({ owned: false, effects: [effectRow({ status: 'started', policy: 'ask', kind: 'webhook.post' })] })
  const limited = item({ owned: false }, { status: 'limited', reason: { code: 'E_LIMIT_TOKENS', message: '' }, endedAt: START })
  expect(recoverTable([crashed, limited, item()], PLAIN, NOW)).toEqual([
    'RUN       NAME        STOPPED  WHY                                    RECOVER',
    '01M7W3MA  csv-export  14s ago  crashed: pid 4121 is gone, no goodbye  yes; 1 effect will be in doubt',
    '01M7W3MA  csv-export  14s ago  limited: E_LIMIT_TOKENS                troupe resume 01M7W3MA --max-tokens MORE',
    '01M7W3MA  csv-export  -        running, pid 4121                      no need',
  ])
  expect([isSafe(crashed), isSafe(limited), isSafe(item())]).toEqual([true, false, false])
  expect(recoverObject(crashed)).toEqual({
    run: RUN,
    name: 'csv-export',
    status: 'crashed',
    reason: 'gone',
    stoppedAt: '2026-11-20T09:13:04.118Z',
    position: 388,
    recoverable: true,
    owner: { pid: 4121, host: 'build-1', alive: false, epoch: 2 },
    effects: [{ id: 'e12', kind: 'webhook.post', path: '/team/coder', policy: 'ask', status: 'started' }],
    next: 'troupe resume 01M7W3MA',
  })
})

test.each([
  ['idle', 'idle'],
  [{ editing: 'patch' }, 'editing.patch'],
  [{ a: 'x', b: { c: 'y' } }, 'a.x + b.c.y'],
  [{ a: {} }, 'a'],
  [null, 'starting'],
] as const)('the state %j is %s', (value, words) => {
  expect(stateWords(value)).toBe(words)
})

function cell(more: Partial<CellView>): CellView {
  return {
    address: '/team',
    id: 'team',
    incarnation: 1,
    machine: 'troupe.supervisor',
    version: '1',
    status: 'active',
    state: 'running',
    tags: [],
    supervised: false,
    mailbox: 0,
    restarts: 0,
    effects: [],
    usage: { inputTokens: 0, outputTokens: 0, costUsd: 0 },
    children: [],
    ...more,
  }
}

test('a living tree shows states, what each actor is busy with, and what waits', () => {
  const busy = { id: 'e12', kind: 'llm.generate', status: 'started', attempt: 2 }
  const tree = cell({
    children: [
      cell({ id: 'coder', machine: 'coder', incarnation: 2, restarts: 1, state: 'generating', effects: [busy] }),
      cell({ id: 'reviewer', machine: 'reviewer', state: 'idle', mailbox: 2 }),
    ],
  })
  expect(
    sceneLines({ row: runRow(), tree, effects: [effectRow({ status: 'started' })], status: 'running, pid 7', runMs: 60_000 }, PLAIN),
  ).toEqual([
    'team                  supervisor one_for_one, at most 3 restarts in 1m00s   running, pid 7',
    '├─ ● coder#2          generating   busy: e12 llm.generate, attempt 2, 400ms   1 restart',
    '└─ ○ reviewer         idle         2 events waiting                           mailbox 2',
  ])
})

test('the tree of a finished run is told by its journal', () => {
  const view = castView(castOf(STORY), tokensByActor(EFFECTS))
  expect(view?.children.map(({ address, incarnation, status, restarts }) => [address, incarnation, status, restarts])).toEqual([
    ['/team/coder', 2, 'stopped', 1],
    ['/team/lead', 1, 'done', 0],
  ])
  expect(castView(castOf([]), new Map())).toBeNull()
})

test('effects are listed with policy, status, attempt and evidence', () => {
  expect(effectTable([effectRow({ policy: 'prove', evidence: 'sha256 equal' })], PLAIN, true)).toEqual([
    'EFFECT\tKIND\tACTOR\tPOLICY\tSTATUS\tATTEMPT\tEVIDENCE',
    'e12\tllm.generate\t/team/coder\tprove\tsucceeded\t1\tsha256 equal',
  ])
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
