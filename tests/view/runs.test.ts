import { expect, test } from 'vitest'
import { PLAIN } from '../../src/view/look.ts'
import { recoveryLines, verdictWords } from '../../src/view/recovery.ts'
import { isSafe, type RunItem, recoverObject, recoverTable, runObject, runTable } from '../../src/view/runs.ts'
import { EFFECTS, effectRow, RUN, recovery, runRow, START, teamOutput } from './samples.ts'

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

const CHANGED = [
  { machine: 'coder', from: '1', to: '2', verdict: 'migrated', actors: 3, differences: ['state `plan` is gone'] },
  { machine: 'reviewer', from: '1', to: '1', verdict: 'compatible', actors: 1, differences: ['state `idle` is new'] },
] as const

test('a resume tells what it found: every open effect with its verdict and the evidence, timers, mail, epoch', () => {
  const found = recovery({
    effects: FOUND,
    timersOverdue: 1,
    timersPending: 2,
    mail: 3,
    strays: [{ pid: 9, command: 'npm test' }],
    machines: CHANGED,
  })
  const lines = recoveryLines(
    { recovery: found, before: { name: 'csv-export', status: 'running', reason: null }, short: '01M7W3MA', nowMs: START + 120_000 },
    PLAIN,
  )
  expect(lines).toEqual([
    'run 01M7W3MA  csv-export  stopped 2m ago at #388: process 4121 is gone, no goodbye',
    'journal ok (388 entries, chain intact)',
    'ended stray process 9 `npm test`',
    'machine coder: version 1 -> 2, 3 actors migrated',
    'machine reviewer: version 1 has changed, 1 actor goes on: state `idle` is new',
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

test('a quarantined run says how often and where it crashed, and what lets it go on', () => {
  const reason = { code: 'E_RUN_QUARANTINED', message: 'm', path: '/team/coder', state: 'editing', crashes: 3, periodMs: 600_000 }
  const stands = item({ owned: false }, { status: 'quarantined', reason, owner: null })
  expect(recoverTable([stands], PLAIN, NOW)[1]).toBe(
    '01M7W3MA  csv-export  14s ago  quarantined: 3 crashes in 10m at /team/coder  troupe resume 01M7W3MA --unquarantine',
  )
  expect(runTable([stands], PLAIN, NOW)[1]).toMatch(/^⊘ {2}01M7W3MA {2}csv-export {2}quarantined: 3 crashes in 10m at \/team\/coder /)
  expect([isSafe(stands), recoverObject(stands)]).toEqual([
    false,
    expect.objectContaining({
      status: 'quarantined',
      reason: 'E_RUN_QUARANTINED',
      recoverable: false,
      next: 'troupe resume 01M7W3MA --unquarantine',
    }),
  ])
})

test.each([
  [{ count: 1, max: 3, periodMs: 600_000 }, undefined],
  [{ count: 2, max: 3, periodMs: 600_000 }, 'crash 2 within 10m; at 3 it is quarantined'],
  [{ count: 4, max: 5, periodMs: 1_500 }, 'crash 4 within 1.5s; at 5 it is quarantined'],
  [null, undefined],
])('a resume after a crash warns from the second one on: %j', (crashes, line) => {
  const before = { name: null, status: 'running', reason: null } as const
  const lines = recoveryLines({ recovery: recovery({ crashes }), before, short: '01M7W3MA', nowMs: START }, PLAIN)
  expect(lines[4]).toBe(line)
})
