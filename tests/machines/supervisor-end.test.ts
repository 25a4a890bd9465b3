/** The cases of the OTP conformance list about the end of a supervisor, by their ids: giving up, escalation, significant children. */
import { expect, test } from 'vitest'
import type { Json } from '../../src/json.ts'
import type { ExitReason } from '../../src/protocol.ts'
import { CRASH, FakeCells, KILLED, NORMAL, ORDERED } from './fake-cells.ts'

const child = (id: string, more: object = {}) => ({ id, src: 'worker', ...more })
const team = (children: readonly object[], flags: object = {}) => ({ id: 'team', ...flags, children })
const abc = [child('a'), child('b'), child('c')]
const gaveUp = (facts: object): ExitReason => ({ kind: 'shutdown', detail: 'gave_up', output: facts as never })

test.each([
  ['SUP-43', 0],
  ['SUP-44', 1],
  ['SUP-45', 3],
] as const)('%s: intensity %i tolerates exactly that many restarts, one more crash ends the supervisor', (_id, intensity) => {
  const cells = new FakeCells(team([child('a')], { intensity, periodMs: 60_000 }))
  for (let crash = 1; crash <= intensity; crash++) cells.advance(1).end('/team/a')
  expect(cells.exit).toBeNull()
  expect(cells.living()).toEqual(['/team#1', `/team/a#${intensity + 1}`])
  cells.end('/team/a')
  expect(cells.exit).toEqual(gaveUp({ count: intensity + 1, max: intensity, periodMs: 60_000, child: 'a', last: CRASH }))
  expect(cells.ordersOf('cell.restart')).toHaveLength(intensity)
})

test.each([
  [4_999, false],
  [5_000, false],
  [5_001, true],
] as const)('SUP-46: with intensity 1 in 5000 ms a second crash after %i ms is survived: %s', (gapMs, survived) => {
  const cells = new FakeCells(team([child('a')], { intensity: 1, periodMs: 5_000 }))
  cells.advance(77).end('/team/a').advance(gapMs).end('/team/a')
  expect(cells.exit === null).toBe(survived)
})

test('SUP-47: restarts that are older than the period are forgotten', () => {
  const cells = new FakeCells(team([child('a')], { intensity: 1, periodMs: 1_000 }))
  for (let crash = 0; crash < 4; crash++) cells.advance(2_100).end('/team/a')
  expect(cells.living()).toEqual(['/team#1', '/team/a#5'])
  expect(cells.state().context.window).toEqual([8_400])
})

test('SUP-48: the window is shared by all children', () => {
  const cells = new FakeCells(team(abc, { intensity: 2 }))
  cells.end('/team/a').end('/team/b').end('/team/c')
  expect(cells.exit).toEqual(gaveUp({ count: 3, max: 2, periodMs: 5000, child: 'c', last: CRASH }))
})

test('SUP-34: children that die at once count one each', () => {
  expect(new FakeCells(team(abc, { intensity: 1 })).endAtOnce(['/team/a', '/team/b']).exit).toMatchObject({ detail: 'gave_up' })
  expect(new FakeCells(team(abc, { intensity: 2 })).endAtOnce(['/team/a', '/team/b']).exit).toBeNull()
})

test('SUP-49: failed restarts count and are tried again at once, until the limit', () => {
  const cells = new FakeCells(team(abc, { intensity: 3 }))
  cells.workers['b'] = { start: 'fail' }
  const started = cells.log.length
  cells.end('/team/b')
  expect(cells.log.slice(started, started + 7)).toEqual([
    'exited b#1 error',
    'restart b 1',
    'failed b#2 error',
    'restart b 2',
    'failed b#3 error',
    'restart b 3',
    'failed b#4 error',
  ])
  const last = { kind: 'error', error: { code: 'E_NO_START', message: 'no start' } }
  expect(cells.exit).toEqual(gaveUp({ count: 4, max: 3, periodMs: 5000, child: 'b', last }))
})

test('SUP-49: a restart that comes up in the end is kept', () => {
  const cells = new FakeCells(team(abc, { intensity: 3 }))
  cells.workers['b'] = { start: 'hang' }
  cells.end('/team/b').answer('/team/b', 'fail').answer('/team/b', 'fail')
  cells.workers['b'] = {}
  cells.answer('/team/b', 'run')
  expect(cells.children()).toEqual({ a: 'running', b: 'running', c: 'running' })
  expect(cells.living()).toEqual(['/team#1', '/team/a#1', '/team/c#1', '/team/b#4'])
})

test('SUP-52: on giving up the others are stopped last first by their own rules, and one fact tells the limit and by whom', () => {
  const children = [child('a', { shutdownMs: 10 }), child('b'), child('c', { shutdownMs: 'brutal' }), child('d', { shutdownMs: 70 })]
  const cells = new FakeCells(team(children, { intensity: 0 }))
  const started = cells.log.length
  cells.end('/team/b', KILLED)
  expect(cells.log.slice(started)).toEqual([
    'exited b#1 killed',
    'stop d 70',
    'exited d#1 ordered',
    'kill c',
    'exited c#1 killed',
    'stop a 10',
    'exited a#1 ordered',
    'exited team#1 gave_up',
  ])
  const facts = { count: 1, max: 0, periodMs: 5000, child: 'b', last: KILLED }
  expect(cells.emitted).toEqual([{ at: 0, event: { type: 'supervisor.gave_up', ...facts } }])
  expect(cells.exit).toEqual(gaveUp(facts))
})

test('an ordered shutdown during a give-up is taken and leaves the reason as it is', () => {
  const cells = new FakeCells(team(abc, { intensity: 0 }), { c: { cleanUpMs: 50 } })
  cells.end('/team/a')
  expect(cells.state().can({ type: 'shutdown' })).toBe(true)
  cells.shutdown().advance(50)
  expect(cells.exit).toMatchObject({ detail: 'gave_up' })
  expect(cells.ordersOf('cell.stop').map(({ id }) => id)).toEqual(['c', 'b'])
})

const sub = (more: object = {}) => ({ id: 'sub', intensity: 0, children: [child('w')], ...more })

test.each(['permanent', 'transient'] as const)(
  'SUP-53 SUP-54: a %s supervisor below that gives up is started again with its children and an empty window, and counts once above',
  (restart) => {
    const cells = new FakeCells(team([sub({ restart, intensity: 1 }), child('b')], { intensity: 5 }))
    cells.advance(3).end('/team/sub/w').end('/team/sub/w')
    expect(cells.living()).toEqual(['/team#1', '/team/b#1', '/team/sub#2', '/team/sub/w#3'])
    expect(cells.state().context.window).toEqual([3])
    expect(cells.state('/team/sub').context.window).toEqual([])
    expect(cells.ordersOf('cell.restart').at(-1)).toMatchObject({
      id: 'sub',
      reason: { kind: 'shutdown', detail: 'gave_up', output: { child: 'w' } },
    })
  },
)

test.each([
  [0, 0, 1],
  [1, 1, 4],
  [2, 3, 12],
  [3, 3, 16],
] as const)('SUP-55: with intensities %i above and %i below, a worker that always crashes is started %i times', (above, below, starts) => {
  const cells = new FakeCells(team([sub({ intensity: below })], { intensity: above }), { w: { start: CRASH } })
  expect(cells.log.filter((line) => line.startsWith('started w#'))).toHaveLength(starts)
  expect(cells.log.filter((line) => line.startsWith('started sub#'))).toHaveLength(above + 1)
  expect(cells.exit).toMatchObject({ detail: 'gave_up', output: { child: 'sub', count: above + 1, max: above } })
  expect(cells.emitted).toHaveLength(above + 2)
})

test('SUP-03 SUP-49: a supervisor below whose child cannot start has failed to start itself', () => {
  const cells = new FakeCells(team([child('a'), sub()], { intensity: 9 }), { w: { start: 'fail' } })
  expect(cells.exit).toMatchObject({ kind: 'error', error: { code: 'E_START_FAILED', child: 'sub' } })
  const again = new FakeCells(team([child('a'), sub()], { intensity: 2 }))
  again.workers['w'] = { start: 'fail' }
  again.end('/team/sub/w')
  expect(again.log.filter((line) => line.startsWith('restart sub'))).toEqual(['restart sub 1', 'restart sub 2'])
  expect(again.exit).toMatchObject({ detail: 'gave_up', output: { child: 'sub', last: { error: { code: 'E_START_FAILED', child: 'w' } } } })
})

test('SUP-57: a crash in one subtree leaves the other with its lives', () => {
  const cells = new FakeCells(team([sub({ id: 'one', intensity: 1 }), sub({ id: 'two' })]))
  const two = cells.state('/team/two')
  cells.end('/team/one/w')
  expect(cells.living()).toEqual(['/team#1', '/team/one#1', '/team/two#1', '/team/two/w#1', '/team/one/w#2'])
  expect(cells.state('/team/two')).toBe(two)
})

const completed = (output?: number): ExitReason => ({ kind: 'shutdown', detail: 'completed', ...(output === undefined ? {} : { output }) })
/** OTP says `shutdown` here, too; the detail tells that nothing was completed. */
const failed = (last: ExitReason): ExitReason => ({
  kind: 'shutdown',
  detail: 'gave_up',
  output: { count: 0, max: 1, periodMs: 5000, child: 's2', last: last as unknown as Json },
})
const some = [
  child('s1', { restart: 'transient', significant: true }),
  child('s2', { restart: 'temporary', significant: true }),
  child('p'),
]

test.each([
  ['transient', '/team/s1', { kind: 'normal', output: 42 }, completed(42)],
  ['transient', '/team/s1', ORDERED, completed()],
  ['transient', '/team/s1', CRASH, null],
  ['transient', '/team/s1', KILLED, null],
  ['temporary', '/team/s2', { kind: 'normal', output: 42 }, completed(42)],
  ['temporary', '/team/s2', { kind: 'shutdown', detail: 'completed', output: 7 }, completed(7)],
  ['temporary', '/team/s2', CRASH, failed(CRASH)],
  ['temporary', '/team/s2', KILLED, failed(KILLED)],
] as const)('SUP-73: any_significant, a %s child %s ends with %o: the supervisor exits with %o', (_restart, address, reason, exit) => {
  const cells = new FakeCells(team(some, { autoShutdown: 'any_significant' }))
  cells.end(address, reason)
  expect(cells.exit).toEqual(exit)
  expect(cells.living().length).toBe(exit === null ? 4 : 0)
})

test('SUP-73: the rest is stopped last first', () => {
  const cells = new FakeCells(team(some, { autoShutdown: 'any_significant' }))
  cells.end('/team/s1', NORMAL)
  expect(cells.ordersOf('cell.stop').map(({ id }) => id)).toEqual(['p', 's2'])
})

test('SUP-74: all_significant waits for the last one, whose output is the output', () => {
  const cells = new FakeCells(team(some, { autoShutdown: 'all_significant' }))
  cells.end('/team/s2', { kind: 'normal', output: 1 })
  expect(cells.exit).toBeNull()
  expect(cells.children()).toEqual({ s1: 'running', p: 'running' })
  cells.end('/team/s1', CRASH)
  expect(cells.exit).toBeNull()
  cells.end('/team/s1', { kind: 'normal', output: 2 })
  expect(cells.exit).toEqual(completed(2))
  expect(cells.log.slice(-3)).toEqual(['stop p 5000', 'exited p#1 ordered', 'exited team#1 completed'])
})

test('SUP-74: a significant child that is being restarted is not gone', () => {
  const cells = new FakeCells(team(some, { autoShutdown: 'all_significant' }))
  cells.workers['s1'] = { start: 'hang' }
  cells.end('/team/s1').end('/team/s2', NORMAL)
  expect(cells.exit).toBeNull()
  cells.answer('/team/s1', { kind: 'normal', output: 3 })
  expect(cells.exit).toEqual(completed(3))
})

test('SUP-75: significant children that the supervisor itself stops end nothing more', () => {
  const cells = new FakeCells(team(some, { autoShutdown: 'any_significant' }), { s1: { onStop: { kind: 'normal', output: 9 } } })
  cells.shutdown()
  expect(cells.exit).toEqual(ORDERED)
})

test.each([
  [true, completed(5)],
  [false, null],
] as const)('SUP-76: the end climbs only through significance (%s)', (significant, exit) => {
  const inner = { id: 'sub', restart: 'transient', significant, autoShutdown: 'any_significant', children: [some[0], child('p')] }
  const cells = new FakeCells(team([inner], { autoShutdown: 'any_significant' }))
  cells.end('/team/sub/s1', { kind: 'normal', output: 5 })
  expect(cells.exit).toEqual(exit)
  expect(cells.living()).toEqual(exit === null ? ['/team#1'] : [])
})

test('SUP-76: a significant temporary supervisor that gives up ends the one above', () => {
  const cells = new FakeCells(team([sub({ restart: 'temporary', significant: true }), child('b')], { autoShutdown: 'any_significant' }))
  cells.end('/team/sub/w')
  expect(cells.exit).toMatchObject({ kind: 'shutdown', detail: 'completed' })
})

test.each(['never', 'any_significant', 'all_significant'])(
  'SUP-77: under %s the end of a child that is not significant ends nothing',
  (autoShutdown) => {
    for (const restart of ['transient', 'temporary']) {
      const cells = new FakeCells(
        team([child('x', { restart }), ...(autoShutdown === 'never' ? [] : some)], { autoShutdown, intensity: 9 }),
      )
      for (const reason of [NORMAL, ORDERED]) if (cells.isLiving('/team/x')) cells.end('/team/x', reason)
      expect(cells.exit).toBeNull()
      expect(cells.state().value).toEqual({ running: 'steady' })
    }
  },
)

test('a significant child that ends while others are still starting ends the supervisor when all have started', () => {
  const cells = new FakeCells(team([...some, child('q')], { autoShutdown: 'any_significant' }), { q: { start: 'hang' } })
  cells.end('/team/s1', { kind: 'normal', output: 1 })
  expect(cells.exit).toBeNull()
  cells.answer('/team/q', 'run')
  expect(cells.log.filter((line) => line.endsWith(' team#1') || line.startsWith('started team'))).toEqual(['started team#1'])
  expect(cells.exit).toEqual(completed(1))
})

test('a supervisor that starts and ends in one step was ready: above it that is an exit, not a failed start', () => {
  const inner = {
    id: 'sub',
    restart: 'transient',
    autoShutdown: 'any_significant',
    children: [some[0], child('d', { restart: 'temporary' })],
  }
  const cells = new FakeCells(team([inner, child('b')]), { d: { start: 'hang' } })
  cells.end('/team/sub/s1', NORMAL).answer('/team/sub/d', 'decline')
  expect(cells.log).toEqual(expect.arrayContaining(['started sub#1', 'exited sub#1 completed', 'started b#1']))
  expect(cells.exit).toBeNull()
})
