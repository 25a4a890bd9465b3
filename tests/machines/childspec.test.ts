import { expect, test } from 'vitest'
import { STATIC_CHILDREN_MAX } from '../../src/limits.ts'
import { cellStart, isRestarted, parseSupervisor, SUPERVISOR_SHUTDOWN_MS } from '../../src/machines/childspec.ts'
import type { Restart } from '../../src/protocol.ts'
import { CRASH, KILLED, NORMAL, ORDERED } from './fake-cells.ts'

const worker = { id: 'w', src: 'worker' }

function refusal(spec: unknown): unknown {
  try {
    parseSupervisor(spec)
  } catch (thrown) {
    const { name, code, details, message } = thrown as { name: string; code: string; details: unknown; message: string }
    return { name, code, details, message }
  }
  return 'accepted'
}

function refused(where: string, field: string, rule: string): unknown {
  return { name: 'Defect', code: 'E_TREE_INVALID', details: { where, field, rule }, message: `${where}: ${field} ${rule}` }
}

const BACKOFF = 'must be {baseMs, maxMs, factor, jitter}: milliseconds above 0, maxMs not below baseMs, factor from 1, jitter from 0 to 1'
/** What a supervisor does not do unless it is told to. */
const plain = { backoff: null, otpExitReasons: false, reviveFinished: false } as const

test('SUP-08: what is not given has its default', () => {
  expect(parseSupervisor({ id: 'team', children: [worker, { id: 'sub', children: [worker] }] })).toEqual({
    flags: { id: 'team', strategy: 'one_for_one', intensity: 1, periodMs: 5000, autoShutdown: 'never', ...plain },
    children: [
      { id: 'w', src: 'worker', restart: 'permanent', shutdownMs: 5000, significant: false, from: 'initial', startTimeoutMs: 30_000 },
      {
        id: 'sub',
        src: 'troupe.supervisor',
        restart: 'permanent',
        shutdownMs: SUPERVISOR_SHUTDOWN_MS,
        significant: false,
        from: 'initial',
        startTimeoutMs: null,
        readyTag: 'ready',
        supervises: { id: 'sub', children: [worker] },
      },
    ],
  })
})

test('what is given is kept', () => {
  const child = {
    ...worker,
    input: null,
    restart: 'transient',
    shutdownMs: 0,
    significant: true,
    from: 'checkpoint',
    readyTag: 'up',
  } as const
  const sub = { id: 'sub', children: [], restart: 'temporary', shutdownMs: 'brutal', significant: true } as const
  const { children: _, ...rest } = sub
  const flags = { id: 'team', strategy: 'one_for_one', intensity: 0, periodMs: 0.5, autoShutdown: 'all_significant' } as const
  expect(parseSupervisor({ ...flags, children: [child, sub] })).toEqual({
    flags: { ...flags, ...plain },
    children: [
      { ...child, startTimeoutMs: 30_000 },
      { ...rest, startTimeoutMs: null, src: 'troupe.supervisor', from: 'initial', readyTag: 'ready', supervises: sub },
    ],
  })
})

test.each([
  ['an unknown strategy', { strategy: 'one_for_any' }, 'strategy', 'must be one_for_one, one_for_all or rest_for_one'],
  ['a backoff without a base', { backoff: {} }, 'backoff', BACKOFF],
  ['a backoff that shrinks', { backoff: { baseMs: 10, factor: 0.5 } }, 'backoff', BACKOFF],
  ['a backoff whose most is less than its base', { backoff: { baseMs: 10, maxMs: 5 } }, 'backoff', BACKOFF],
  [
    'a period too short for its backoff',
    { intensity: 3, periodMs: 6_000, backoff: { baseMs: 1_000, jitter: 0 } },
    'periodMs',
    'must be at least 7000, which its backoff may wait before 3 restarts: in 6000 the limit can never be reached',
  ],
  ['a start timeout of nothing', { startTimeoutMs: 0 }, 'startTimeoutMs', `must be 'infinity' or whole milliseconds from 1`],
  ['a limit of nothing', { limits: { children: 0 } }, 'limits', 'must be a whole number from 1'],
  ['children beside a template', { dynamic: { src: 'w' } }, 'dynamic', 'must not stand beside children: a supervisor has one or the other'],
  ['a negative intensity', { intensity: -1 }, 'intensity', 'must be a whole number from 0'],
  ['an infinite intensity', { intensity: Infinity }, 'intensity', 'must be a whole number from 0'],
  ['half a restart', { intensity: 0.5 }, 'intensity', 'must be a whole number from 0'],
  ['an intensity as text', { intensity: '3' }, 'intensity', 'must be a whole number from 0'],
  ['a period of 0', { periodMs: 0 }, 'periodMs', 'must be a number of milliseconds above 0'],
  ['a negative period', { periodMs: -5 }, 'periodMs', 'must be a number of milliseconds above 0'],
  ['an infinite period', { periodMs: Infinity }, 'periodMs', 'must be a number of milliseconds above 0'],
  ['a period that is no number', { periodMs: NaN }, 'periodMs', 'must be a number of milliseconds above 0'],
  ['an unknown autoShutdown', { autoShutdown: 'always' }, 'autoShutdown', 'must be never, any_significant or all_significant'],
  ['children that are no list', { children: {} }, 'children', 'must be a list'],
  ['no children at all', { children: undefined }, 'children', 'must be a list'],
  ['a field that no spec has', { intesity: 3 }, 'intesity', 'is not a field of a spec'],
] as const)('SUP-09 SUP-12: a supervisor with %s is refused by its field', (_what, flags, field, rule) => {
  expect(refusal({ id: 'team', children: [], ...flags })).toEqual(refused('/team', field, rule))
})

test.each([
  ['a restart type that does not exist', { restart: 'always' }, 'restart', 'must be permanent, transient or temporary'],
  ['a shutdown of -1', { shutdownMs: -1 }, 'shutdownMs', `must be 'brutal' or whole milliseconds from 0`],
  ['a shutdown of infinity', { shutdownMs: Infinity }, 'shutdownMs', `must be 'brutal' or whole milliseconds from 0`],
  ['a shutdown in words', { shutdownMs: 'soon' }, 'shutdownMs', `must be 'brutal' or whole milliseconds from 0`],
  ['a significance that is no boolean', { significant: 'yes' }, 'significant', 'must be true or false'],
  ['no src', { src: undefined }, 'src', 'must be a text'],
  ['an empty src', { src: '' }, 'src', 'must not be empty'],
  [
    'the machine of supervisors as src',
    { src: 'troupe.supervisor' },
    'src',
    'must be your own machine; a supervisor is given by its own spec, with children',
  ],
  ['a beginning that does not exist', { from: 'start' }, 'from', 'must be initial or checkpoint'],
  ['a field that no spec has', { shutdown: 10 }, 'shutdown', 'is not a field of a spec'],
] as const)('SUP-10 SUP-12: a child with %s is refused by its field, at any depth', (_what, change, field, rule) => {
  const child = { ...worker, ...change }
  expect(refusal({ id: 'team', children: [child] })).toEqual(refused('/team/w', field, rule))
  expect(refusal({ id: 'team', children: [worker, { id: 'sub', children: [child] }] })).toEqual(refused('/team/sub/w', field, rule))
})

test.each([
  ['no id', {}, 'must be a text'],
  ['an id with a slash', { id: 'a/b' }, 'must be made of A-Z, a-z, 0-9, _ and -'],
  ['an empty id', { id: '' }, 'must be made of A-Z, a-z, 0-9, _ and -'],
] as const)('SUP-10: a child with %s is named by its place', (_what, id, rule) => {
  expect(refusal({ id: 'team', children: [worker, { ...id, src: 'worker' }] })).toEqual(refused('/team/children[1]', 'id', rule))
  expect(refusal({ ...id, children: [] })).toEqual(refused('(root)', 'id', rule))
})

test.each([null, 7, 'team', []])('a spec that is %j is refused', (spec) => {
  expect(refusal(spec)).toMatchObject({ code: 'E_TREE_INVALID', details: { where: '(root)' } })
  expect(refusal({ id: 'team', children: [spec] })).toMatchObject({ code: 'E_TREE_INVALID', details: { where: '/team/children[0]' } })
})

test('SUP-11: two children with one id are refused; the same id below another supervisor is another child', () => {
  expect(refusal({ id: 'team', children: [worker, { id: 'w', children: [] }] })).toEqual(
    refused('/team/w', 'id', 'must be unique below /team'),
  )
  expect(refusal({ id: 'team', children: [worker, { id: 'sub', children: [worker] }] })).toBe('accepted')
})

test('SUP-72: a significant child is refused under autoShutdown never, and when it is permanent', () => {
  const child = { ...worker, significant: true }
  expect(refusal({ id: 'team', children: [{ ...child, restart: 'transient' }] })).toEqual(
    refused('/team/w', 'significant', 'must be false where /team has autoShutdown never'),
  )
  for (const autoShutdown of ['any_significant', 'all_significant']) {
    expect(refusal({ id: 'team', autoShutdown, children: [child] })).toEqual(
      refused('/team/w', 'significant', 'must be false on a permanent child, which never ends'),
    )
    for (const restart of ['transient', 'temporary']) {
      expect(refusal({ id: 'team', autoShutdown, children: [{ ...child, restart }] })).toBe('accepted')
      expect(refusal({ id: 'team', autoShutdown, children: [{ id: 'sub', children: [], significant: true, restart }] })).toBe('accepted')
    }
  }
})

test('a static supervisor holds a bounded number of children, and a tree a bounded number of levels', () => {
  const children = Array.from({ length: STATIC_CHILDREN_MAX + 1 }, (_, index) => ({ id: `w${index}`, src: 'worker' }))
  expect(refusal({ id: 'team', children: children.slice(1) })).toBe('accepted')
  expect(refusal({ id: 'team', children })).toEqual(refused('/team', 'children', 'must hold at most 200 children of a static supervisor'))
  const loop: { id: string; children: unknown[] } = { id: 'loop', children: [] }
  loop.children.push(loop)
  expect(refusal(loop)).toEqual(refused('(tree)', 'children', 'must not be nested deeper than 64 levels'))
})

test('an input that cannot be stored is refused with the path at which it could not', () => {
  expect(refusal({ id: 'team', children: [{ ...worker, input: { when: new Date(0) } }] })).toMatchObject({
    code: 'E_NOT_JSON',
    message: '/team/w: input.when holds a Date: turn it into plain data first',
  })
})

const REASONS = {
  normal: NORMAL,
  'shutdown ordered': ORDERED,
  'shutdown completed': { kind: 'shutdown', detail: 'completed' },
  'shutdown timeout': { kind: 'shutdown', detail: 'timeout' },
  'shutdown gave_up': { kind: 'shutdown', detail: 'gave_up' },
  crash: CRASH,
  killed: KILLED,
} as const
const ABNORMAL: readonly string[] = ['shutdown gave_up', 'crash', 'killed']
const MATRIX = (['permanent', 'transient', 'temporary'] as const).flatMap((restart: Restart) =>
  (Object.keys(REASONS) as (keyof typeof REASONS)[]).map(
    (reason) => [restart, reason, restart === 'permanent' || (restart === 'transient' && ABNORMAL.includes(reason))] as const,
  ),
)

test.each(MATRIX)('SUP-24 SUP-25 SUP-26 SUP-27: a %s child that ends in %s is restarted: %s', (restart, reason, expected) => {
  expect(isRestarted(restart, REASONS[reason])).toBe(expected)
})

test('a child without an input of its own gets the input of the tree, a supervisor gets its spec with it', () => {
  const sub = { id: 'sub', children: [worker] }
  const { children } = parseSupervisor({ id: 'team', children: [worker, { ...worker, id: 'own', input: null, readyTag: 'up' }, sub] })
  expect(children.map((child) => cellStart(child, { goal: 1 }))).toEqual([
    { id: 'w', src: 'worker', restart: 'permanent', input: { goal: 1 } },
    { id: 'own', src: 'worker', restart: 'permanent', input: null, readyTag: 'up' },
    { id: 'sub', src: 'troupe.supervisor', restart: 'permanent', input: { spec: sub, input: { goal: 1 } }, readyTag: 'ready' },
  ])
})
