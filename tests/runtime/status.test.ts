/** The table of effect statuses: every pair of them, as a matrix and through the one function that changes a row. */
import { expect, test } from 'vitest'
import { move } from '../../src/runtime/engines/local/effects.ts'
import type { Tree } from '../../src/runtime/engines/local/tree.ts'
import { type EffectStatus, NEXT, OPEN } from '../../src/runtime/status.ts'
import type { EffectRow } from '../../src/runtime/store.ts'
import { treeOf } from '../harness.ts'

const ALL: readonly EffectStatus[] = ['owed', 'started', 'in_doubt', 'succeeded', 'failed', 'cancelled']

const ALLOWED: ReadonlySet<string> = new Set([
  'owed -> started',
  'owed -> cancelled',
  'owed -> failed',
  'started -> succeeded',
  'started -> failed',
  'started -> in_doubt',
  'started -> cancelled',
  'in_doubt -> started',
  'in_doubt -> succeeded',
  'in_doubt -> failed',
])

const row = (status: EffectStatus): EffectRow => ({
  id: 'e1',
  owner: '/top/one',
  incarnation: 1,
  invoke: 'work',
  invocation: 0,
  src: 'work',
  kind: 'work.do',
  input: null,
  policy: 'repeat',
  timeoutMs: null,
  retry: { maxAttempts: 1, baseDelayMs: 1, maxDelayMs: 1, exponentialBase: 2 },
  reserve: null,
  answer: true,
  status,
  attempt: 1,
  startedAt: 0,
  nextAt: null,
  output: undefined,
  error: null,
  usage: null,
  evidence: null,
  cause: null,
})

const treeWith = (effect: EffectRow): Tree => treeOf({ effects: [effect] })

const PAIRS = ALL.flatMap((from) => ALL.map((to) => ({ from, to, allowed: ALLOWED.has(`${from} -> ${to}`) })))

test.each(PAIRS)('an effect that is $from may become $to: $allowed', ({ from, to, allowed }) => {
  expect(NEXT[from].includes(to)).toBe(allowed)
})

test.each(PAIRS.filter(({ from, to }) => from !== to))(
  'moving an effect from $from to $to follows the table ($allowed)',
  ({ from, to, allowed }) => {
    const tree = treeWith(row(from))
    const before = [...tree.effects.values()]
    if (allowed) {
      expect(move(tree, row(from), to, { evidence: 'seen' })).toEqual({ ...row(to), evidence: 'seen' })
      expect([...tree.effects.values()].map(({ id }) => id)).toEqual(OPEN.includes(to) ? ['e1'] : [])
    } else {
      expect(() => move(tree, row(from), to)).toThrow(expect.objectContaining({ code: 'E_EFFECT_STATUS' }))
      expect({ open: [...tree.effects.values()], written: tree.draft.effects.size }).toEqual({ open: before, written: 0 })
    }
  },
)

test('the open statuses are those from which something may still come', () => {
  expect(OPEN).toEqual(ALL.filter((status) => NEXT[status].length > 0))
})
