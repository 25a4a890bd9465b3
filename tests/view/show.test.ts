import { expect, test } from 'vitest'
import type { CellView } from '../../src/runtime/engine.ts'
import { castOf, tokensByActor } from '../../src/view/actors.ts'
import { PLAIN } from '../../src/view/look.ts'
import { castView, effectTable, sceneLines, stateWords } from '../../src/view/show.ts'
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
