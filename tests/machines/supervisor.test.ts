/** The cases of the OTP conformance list that one_for_one covers, by their ids: starting, stopping, restarting. Giving up and significance stand in supervisor-end.test.ts. */
import { expect, test } from 'vitest'
import type { ExitReason, Restart } from '../../src/protocol.ts'
import { CRASH, FakeCells, KILLED, NORMAL, ORDERED } from './fake-cells.ts'

const child = (id: string, more: object = {}) => ({ id, src: 'worker', ...more })
const team = (children: readonly object[], flags: object = {}) => ({ id: 'team', ...flags, children })
const abc = [child('a'), child('b'), child('c')]
const DAY = 86_400_000

test('SUP-01: children start one at a time in the order of the specs, each after the one before is ready', () => {
  const cells = new FakeCells(team([...abc, child('d')]), { b: { start: 'hang' } })
  expect(cells.log).toEqual(['start a', 'started a#1', 'start b'])
  expect(cells.state().hasTag('ready')).toBe(false)
  cells.answer('/team/b', 'run')
  expect(cells.log.slice(3)).toEqual(['started b#1', 'start c', 'started c#1', 'start d', 'started d#1', 'started team#1'])
  expect(cells.children()).toEqual({ a: 'running', b: 'running', c: 'running', d: 'running' })
})

test('an order to start carries what the engine needs, and the input of the tree where the child has none', () => {
  const cells = new FakeCells(team([child('a'), child('b', { input: 7, restart: 'temporary', readyTag: 'up' })]), {}, { goal: 'ship' })
  expect(cells.ordersOf('cell.start')).toEqual([
    { id: 'a', src: 'worker', input: { goal: 'ship' }, restart: 'permanent' },
    { id: 'b', src: 'worker', input: 7, restart: 'temporary', readyTag: 'up' },
  ])
})

test('SUP-02: a supervisor without children starts and stops', () => {
  const cells = new FakeCells(team([]))
  expect(cells.state().value).toEqual({ running: 'steady' })
  cells.shutdown()
  expect(cells.log).toEqual(['started team#1', 'exited team#1 ordered'])
  expect(cells.exit).toEqual(ORDERED)
})

test('SUP-03: a failed first start stops what had started, last first, and is the reason of the supervisor; nothing is restarted', () => {
  const cells = new FakeCells(team([child('a'), child('b'), child('x'), child('d')], { intensity: 9 }), { x: { start: 'fail' } })
  expect(cells.log).toEqual([
    'start a',
    'started a#1',
    'start b',
    'started b#1',
    'start x',
    'failed x#1 error',
    'stop b 5000',
    'exited b#1 ordered',
    'stop a 5000',
    'exited a#1 ordered',
    'failed team#1 error',
  ])
  const cause = { kind: 'error', error: { code: 'E_NO_START', message: 'no start' } }
  const message = `child 'x' of team failed to start: E_NO_START: no start`
  expect(cells.exit).toEqual({ kind: 'error', error: { code: 'E_START_FAILED', message, child: 'x', cause } })
  expect(cells.state().context.window).toEqual([])
})

test('SUP-03: a child that ends before it is ready has failed to start, also where that is reported as an exit', () => {
  const cells = new FakeCells(team([child('a'), child('x', { readyTag: 'up' })]), { x: { start: 'hang' } })
  cells.unreadyEnd = 'cell.exited'
  cells.end('/team/x', NORMAL)
  expect(cells.exit).toMatchObject({ kind: 'error', error: { code: 'E_START_FAILED', child: 'x', cause: NORMAL } })
  expect(cells.ordersOf('cell.stop')).toEqual([{ id: 'a', shutdownMs: 5000 }])
})

test('SUP-04 SUP-09: a spec that breaks a rule is the reason of the supervisor, and nothing was started', () => {
  const cells = new FakeCells({ id: 'team', strategy: 'round_robin', children: abc } as { id: string })
  expect(cells.exit).toMatchObject({
    kind: 'error',
    error: { code: 'E_TREE_INVALID', message: '/team: strategy must be one_for_one, one_for_all or rest_for_one' },
  })
  expect(cells.orders).toEqual([])
})

test('SUP-05: a child that declines to start keeps its spec without a cell, and the next starts', () => {
  const cells = new FakeCells(team([child('a'), child('b')]), { a: { start: 'decline' } })
  expect(cells.children()).toEqual({ a: 'stopped', b: 'running' })
  expect(cells.state().value).toEqual({ running: 'steady' })
})

test('SUP-05: a permanent child that declines a restart stays stopped, without another try', () => {
  const cells = new FakeCells(team(abc))
  cells.workers['b'] = { start: 'decline' }
  cells.end('/team/b')
  expect(cells.children()).toEqual({ a: 'running', b: 'stopped', c: 'running' })
  expect(cells.ordersOf('cell.restart')).toHaveLength(1)
})

test('SUP-06: a temporary child that declines leaves no spec and no address', () => {
  const cells = new FakeCells(team([child('t', { restart: 'temporary' }), child('b')]), { t: { start: 'decline' } })
  expect(cells.children()).toEqual({ b: 'running' })
  expect(cells.ordersOf('cell.delete')).toEqual([{ id: 't' }])
})

test('SUP-13: children stop one after another, last first, each in its own time', () => {
  const slow = { cleanUpMs: 100 }
  const cells = new FakeCells(team(abc), { a: slow, b: slow, c: slow })
  cells.shutdown().advance(299)
  expect(cells.exit).toBeNull()
  expect(cells.orders.slice(3).map(({ at, order }) => [at, order.type, order.params.id])).toEqual([
    [0, 'cell.stop', 'c'],
    [100, 'cell.stop', 'b'],
    [200, 'cell.stop', 'a'],
  ])
  cells.advance(1)
  expect(cells.exit).toEqual(ORDERED)
})

test.each([
  ['SUP-15', 300, { type: 'cell.stop', params: { id: 'a', shutdownMs: 300 } }],
  ['SUP-17', 'brutal', { type: 'cell.kill', params: { id: 'a' } }],
  ['SUP-19', 0, { type: 'cell.stop', params: { id: 'a', shutdownMs: 0 } }],
  ['SUP-08', undefined, { type: 'cell.stop', params: { id: 'a', shutdownMs: 5000 } }],
] as const)('%s: a child with shutdownMs %s is ended by its own rule, and the supervisor exits as ordered', (_id, shutdownMs, order) => {
  const cells = new FakeCells(team([child('a', { shutdownMs })]), { a: { cleanUpMs: Infinity } })
  cells.shutdown().advance(5000)
  expect(cells.orders.at(-1)?.order).toEqual(order)
  expect(cells.exit).toEqual(ORDERED)
})

test('SUP-18: a supervisor below gets all the time that it needs', () => {
  const cells = new FakeCells(team([{ id: 'sub', children: [child('w', { shutdownMs: 40 * DAY })] }]), { w: { cleanUpMs: 40 * DAY } })
  cells.shutdown().advance(40 * DAY - 1)
  expect(cells.living()).toEqual(['/team#1', '/team/sub#1', '/team/sub/w#1'])
  cells.advance(1)
  expect(cells.log.slice(-3)).toEqual(['exited w#1 ordered', 'exited sub#1 ordered', 'exited team#1 ordered'])
})

test('SUP-20: a child that ends otherwise than asked does not change the reason of the supervisor', () => {
  const cells = new FakeCells(team(abc), { b: { onStop: CRASH } })
  cells.shutdown()
  expect(cells.log).toContain('exited b#1 error')
  expect(cells.exit).toEqual(ORDERED)
})

test.each([NORMAL, ORDERED, CRASH, KILLED])(
  'SUP-21: a child that ends by itself during the stop is not restarted and not waited for',
  (reason) => {
    const cells = new FakeCells(team(abc), { c: { cleanUpMs: 100 } })
    cells.shutdown().end('/team/a', reason)
    expect(cells.exit).toBeNull()
    cells.advance(100)
    expect(cells.ordersOf('cell.stop')).toEqual([
      { id: 'c', shutdownMs: 5000 },
      { id: 'b', shutdownMs: 5000 },
    ])
    expect(cells.exit).toEqual(ORDERED)
  },
)

test('SUP-21: an order to stop that crosses the news of the end is answered by that news', () => {
  const cells = new FakeCells(team([child('a'), child('z')], { intensity: 0 }))
  cells.endAtOnce(['/team/a', '/team/z'])
  expect(cells.log.slice(-3)).toEqual(['exited z#1 error', 'stop z 5000', 'exited team#1 gave_up'])
})

const REASONS: Record<string, ExitReason> = {
  normal: NORMAL,
  'shutdown ordered': ORDERED,
  'shutdown completed': { kind: 'shutdown', detail: 'completed', output: 1 },
  'shutdown timeout': { kind: 'shutdown', detail: 'timeout' },
  'shutdown gave_up': { kind: 'shutdown', detail: 'gave_up' },
  crash: CRASH,
  killed: KILLED,
}
const AFTER: Record<Restart, (reason: string) => string> = {
  permanent: () => 'restarted',
  transient: (reason) => (['shutdown gave_up', 'crash', 'killed'].includes(reason) ? 'restarted' : 'kept as a spec'),
  temporary: () => 'gone',
}
const MATRIX = (['permanent', 'transient', 'temporary'] as const).flatMap((restart) =>
  Object.keys(REASONS).map((reason) => [restart, reason, AFTER[restart](reason)] as const),
)

test.each(MATRIX)(
  'SUP-24 SUP-25 SUP-26 SUP-27 SUP-28: a %s child that ends in %s is %s, and its siblings keep their lives',
  (restart, reason, after) => {
    const cells = new FakeCells(team([child('a'), child('b', { restart }), child('c')]))
    const started = cells.log.length
    cells.advance(10).end('/team/b', REASONS[reason])
    expect(cells.living()).toEqual(['/team#1', '/team/a#1', '/team/c#1', ...(after === 'restarted' ? ['/team/b#2'] : [])])
    const { a, b, c } = cells.children()
    expect({ a, b, c }).toEqual({
      a: 'running',
      b: { restarted: 'running', 'kept as a spec': 'stopped', gone: undefined }[after],
      c: 'running',
    })
    const orders = { restarted: ['restart b 1', 'started b#2'], 'kept as a spec': [], gone: ['delete b'] }[after]
    expect(cells.log.slice(started + 1)).toEqual(orders)
    expect(cells.state().context.window).toEqual(after === 'restarted' ? [10] : [])
  },
)

test('an order to restart tells from where, which restart in the window it is, and why', () => {
  const cells = new FakeCells(team([child('a', { from: 'checkpoint', input: 1 }), child('b')], { intensity: 2 }))
  cells.end('/team/a').end('/team/b', KILLED)
  const window = { after: 1, backoffMs: 0, max: 2, periodMs: 5000 }
  expect(cells.ordersOf('cell.restart')).toEqual([
    { id: 'a', src: 'worker', input: 1, restart: 'permanent', from: 'checkpoint', count: 1, reason: CRASH, ...window },
    { id: 'b', src: 'worker', restart: 'permanent', from: 'initial', count: 2, reason: KILLED, ...window },
  ])
})

test('restarts do not wait for one another', () => {
  const cells = new FakeCells(team(abc, { intensity: 2 }))
  cells.workers['a'] = { start: 'hang' }
  cells.end('/team/a').end('/team/c')
  expect(cells.children()).toEqual({ a: 'restarting', b: 'running', c: 'running' })
})

test('a child that ends while others are still starting is restarted when all have started', () => {
  const cells = new FakeCells(team(abc), { b: { start: 'hang' } })
  cells.advance(5).end('/team/a')
  expect(cells.children()).toEqual({ a: 'down', b: 'starting', c: 'waiting' })
  cells.advance(5).answer('/team/b', 'run')
  expect(cells.log.slice(-5)).toEqual(['start c', 'started c#1', 'restart a 1', 'started a#2', 'started team#1'])
  expect(cells.state().context).toMatchObject({ window: [5], deferred: [] })
})

test('SUP-69 SUP-71: a stop works while a restart loop goes on and while a start hangs', () => {
  const cells = new FakeCells(team(abc, { intensity: 9 }))
  cells.workers['b'] = { start: 'hang' }
  cells.end('/team/b')
  expect(cells.children()).toEqual({ a: 'running', b: 'restarting', c: 'running' })
  cells.answer('/team/b', 'fail').shutdown()
  expect(cells.log.slice(-8)).toEqual(
    [
      'failed b#2 error',
      'restart b 2',
      'stop c 5000',
      'exited c#1 ordered',
      'stop b 5000',
      'failed b#3 ordered',
      'stop a 5000',
      'exited a#1 ordered',
    ]
      .concat('exited team#1 ordered')
      .slice(-8),
  )
  expect(cells.exit).toEqual(ORDERED)
})

test('SUP-71: a supervisor that is told to stop while its second child starts stops both and starts no third', () => {
  const cells = new FakeCells(team(abc), { b: { start: 'hang' } })
  cells.shutdown()
  expect(cells.log.slice(-5)).toEqual(['stop b 5000', 'failed b#1 ordered', 'stop a 5000', 'exited a#1 ordered', 'failed team#1 ordered'])
  expect(cells.exit).toEqual(ORDERED)
})

test('a child that comes up, or declines, while it is asked to stop is stopped all the same', () => {
  for (const answer of ['run', 'decline'] as const) {
    const cells = new FakeCells(team(abc), { b: { start: 'hang', cleanUpMs: 100 } })
    cells.shutdown().answer('/team/b', answer)
    expect(cells.isLiving('/team/b')).toBe(answer === 'run')
    cells.advance(100)
    expect(cells.living()).toEqual([])
    expect(cells.exit).toEqual(ORDERED)
  }
})

test('SUP-80: events of an earlier life, or about nobody, change nothing', () => {
  const cells = new FakeCells(team(abc, { intensity: 5 }))
  cells.end('/team/a')
  const before = cells.state().context
  const late = { now: 0, reason: CRASH }
  cells.deliver('/team', { type: 'cell.exited', id: 'a', incarnation: 1, ...late })
  cells.deliver('/team', { type: 'cell.start_failed', id: 'a', incarnation: 1, ...late })
  cells.deliver('/team', { type: 'cell.started', id: 'a', incarnation: 1, now: 0, declined: true })
  cells.deliver('/team', { type: 'cell.exited', id: 'nobody', incarnation: 1, ...late })
  expect(cells.state().context).toEqual(before)
  cells.workers['a'] = { start: 'hang' }
  cells.end('/team/a').deliver('/team', { type: 'cell.exited', id: 'a', incarnation: 2, ...late })
  expect(cells.children()).toEqual({ a: 'restarting', b: 'running', c: 'running' })
  cells.answer('/team/a', 'fail').deliver('/team', { type: 'cell.started', id: 'a', incarnation: 3, now: 0, declined: true })
  expect(cells.children()).toEqual({ a: 'restarting', b: 'running', c: 'running' })
})
