/** A tree is looked at before it is started: what is wrong with it, and how often its actors may be started at most. */
import { expect, test } from 'vitest'
import { parseTask, planTree, teamTree } from '../../src/index.ts'

test.each([
  [0, 0, 1],
  [1, 1, 4],
  [2, 3, 12],
  [3, 3, 16],
])('SUP-55: below supervisors of intensity %i and %i an actor is started at most %i times', (top, sub, starts) => {
  const plan = planTree({ id: 'top', intensity: top, children: [{ id: 'sub', intensity: sub, children: [{ id: 'w', src: 'worker' }] }] })
  expect(plan.worstStarts).toBe(starts)
  expect(plan.actors.map(({ path, starts: most }) => [path, most])).toEqual([
    ['/top', null],
    ['/top/sub', null],
    ['/top/sub/w', starts],
  ])
})

test('children of a template have a worst case each, and a tree that breaks a rule is refused with the rule', () => {
  const pool = { id: 'pool', intensity: 2, dynamic: { src: 'coder', restart: 'transient' as const } }
  expect(planTree({ id: 'top', intensity: 1, children: [pool] })).toEqual({
    worstStarts: 6,
    actors: [
      { path: '/top', depth: 0, words: 'one_for_one, at most 1 restarts in 5000 ms', starts: null },
      { path: '/top/pool', depth: 1, words: 'dynamic, at most 2 restarts in 5000 ms', starts: null },
      { path: '/top/pool/*', depth: 2, words: 'coder, transient', starts: 6 },
    ],
  })
  const backoff = { baseMs: 10_000 }
  expect(() => planTree({ ...pool, backoff })).toThrow(
    '/pool: periodMs must be at least 36000, which its backoff may wait before 2 restarts',
  )
})

test('a task whose period is too short for its backoff is told so as an error of the task, before anything is started', () => {
  const task = parseTask(
    'goal: x\nsupervision: {intensity: 3, period: 2s, backoff: {base_delay: 1s, max_delay: 10s, jitter: 0.2}}\n',
    'a.yaml',
  )
  expect(() => teamTree(task, { dir: '.' })).toThrow(
    expect.objectContaining({
      code: 'E_TASK_INVALID',
      message: expect.stringContaining('periodMs must be at least 8400'),
      options: expect.objectContaining({ exit: 3 }),
    }),
  )
})
