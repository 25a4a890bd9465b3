import { expect, test } from 'vitest'
import type { Health } from '../../src/health.ts'
import type { CellView } from '../../src/runtime/engine.ts'
import { castOf, tokensByActor } from '../../src/view/actors.ts'
import { PLAIN } from '../../src/view/look.ts'
import { castView, effectTable, sceneLines, stateWords, treeObject } from '../../src/view/show.ts'
import { EFFECTS, effectRow, runRow, STORY } from './samples.ts'

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

const health = (state: Health['state'], on: string | null, evidence: string): Health => ({
  state,
  on,
  evidence,
  since: 1_000,
  proof: {},
  errors: { total: 1, window: 1, perMinute: 0.2 },
})

test('a living tree shows states, how each actor stands with the proof, and what waits', () => {
  const busy = { id: 'e12', kind: 'llm.generate', status: 'started', attempt: 2 }
  const later = { id: 'e31', kind: 'llm.generate', status: 'started', attempt: 1 }
  const actor = (id: string, state: string, stands: Health, more: Partial<CellView> = {}) =>
    cell({ id, address: `/team/${id}`, machine: id, state, health: stands, ...more })
  const tree = cell({
    children: [
      actor('orchestrator', 'collecting', health('waiting', 'child', '/team/coder')),
      actor('coder', 'generating', health('busy', 'e12', 'e12 llm.generate, attempt 2'), { incarnation: 2, restarts: 1, effects: [busy] }),
      actor('other', 'generating', health('waiting', 'rate_limit', 'e31 llm.generate failed'), { effects: [later] }),
      actor('executor', 'running', health('suspect', 'e40', 'e40 command.run: no sign of life for 1m')),
      actor('reviewer', 'idle', health('healthy', null, 'nothing open'), { mailbox: 2 }),
      actor('idle', 'idle', health('healthy', null, 'nothing open')),
    ],
  })
  const effects = [effectRow({ status: 'started' }), effectRow({ id: 'e31', status: 'started', nextAt: 61_100 })]
  expect(sceneLines({ row: runRow(), tree, effects, cast: castOf(STORY), status: 'running, pid 7', runMs: 60_000 }, PLAIN)).toEqual([
    'team                  supervisor one_for_one, at most 3 restarts in 1m00s   running, pid 7',
    '├─ ○ orchestrator     collecting   waiting on child /team/coder',
    '├─ ● coder#2          generating   busy: e12 llm.generate, attempt 2 400ms               1 restart (E_PROVIDER_TIMEOUT)',
    '├─ ○ other            generating   waiting on rate limit (e31 llm.generate), 1.1s left',
    '├─ ○ executor         running      suspect: e40 command.run: no sign of life for 1m',
    '├─ ○ reviewer         idle         2 events waiting                                      mailbox 2',
    '└─ ○ idle             idle         healthy',
  ])
})

test('JSON tells how an actor stands, since when, and its errors', () => {
  const tree = treeObject(cell({ health: health('busy', 'e12', 'e12 llm.generate') }), (runMs) => 1_700_000_000_000 + runMs)
  expect(tree['health']).toEqual({
    state: 'busy',
    on: 'e12',
    since: '2023-11-14T22:13:21.000Z',
    evidence: 'e12 llm.generate',
    proof: {},
    errors: { total: 1, window: 1, perMinute: 0.2 },
  })
  expect(treeObject(cell({}), (runMs) => runMs)['health']).toBeNull()
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
