/** How a run comes to stand still, what its result says, and that no limit is granted afresh by a death or a resume. */
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import type { StaticSupervisorSpec, TreeSpec } from '../../src/protocol.ts'
import { factsOf, only, openLife, temporaryFolder, VirtualClock } from '../harness.ts'
import { counter } from './counter.ts'

const machines = { counter }
const spec = (child: object, supervisor: Partial<StaticSupervisorSpec> = {}): StaticSupervisorSpec => ({
  id: 'top',
  autoShutdown: 'any_significant',
  children: [{ id: 'one', src: 'counter', restart: 'transient', significant: true, ...child }],
  ...supervisor,
})
const BOOM = expect.objectContaining({ code: 'E_DEFECT', message: 'boom', path: '/top/one', state: 'idle', event: 'boom' })

test.each<[string, TreeSpec, readonly string[], object]>([
  [
    'its significant child is done: success, with its output',
    spec({ input: { n: 3 } }),
    ['end'],
    { status: 'succeeded', reason: null, output: 3 },
  ],
  [
    'its supervisor gave up: failure, naming the limit, the child and the last cause',
    spec({}, { intensity: 1, periodMs: 9_000 }),
    ['boom', 'boom'],
    {
      status: 'failed',
      reason: { code: 'E_SUPERVISOR_GAVE_UP', message: '2 restarts in 9000 ms, 1 are allowed; last: one: E_DEFECT boom', cause: BOOM },
      output: null,
    },
  ],
  [
    'a machine of it is not registered: failure, naming those that are',
    spec({ src: 'missing' }),
    [],
    {
      status: 'failed',
      reason: expect.objectContaining({ code: 'E_START_FAILED', message: expect.stringContaining("'one' of top failed to start") }),
      output: null,
    },
  ],
  [
    'a significant child crashed that is never restarted: failure, naming its cause',
    spec({ restart: 'temporary' }),
    ['boom'],
    { status: 'failed', reason: expect.objectContaining({ code: 'E_SUPERVISOR_GAVE_UP', cause: BOOM }), output: null },
  ],
])('a run ends because %s', async (_, tree, events, expected) => {
  const { troupe, store } = openLife(temporaryFolder(), { machines })
  const session = await troupe.start(tree, { name: 'n' })
  for (const type of events) await session.send('/top/one', { type })
  const result = await session.done()
  expect(result).toEqual(expect.objectContaining({ run: session.id, name: 'n', ...expected }))
  const { status, reason, output, position } = store.run(session.id)!
  expect({ status, reason, output, position, owned: store.isOwned(session.id) }).toEqual({
    status: result.status,
    reason: result.reason,
    output: result.output,
    position: result.position,
    owned: false,
  })
})

test('an actor whose guard throws when it is asked to stop is ended, and the run goes on', async () => {
  const touchy = setup({}).createMachine({
    id: 'touchy',
    on: {
      shutdown: {
        guard: () => {
          throw new Error('not now')
        },
      },
    },
  })
  const { troupe, store } = openLife(temporaryFolder(), { machines: { counter, touchy } })
  const one = spec({}).children[0]!
  const session = await troupe.start(spec({}, { children: [{ id: 'touchy', src: 'touchy' }, one] }))
  await session.send('/top/one', { type: 'end' })
  expect(await session.done()).toEqual(expect.objectContaining({ status: 'succeeded' }))
  expect(
    factsOf(store, session.id, 'actor.stopped').map(({ path, data }) => `${path} ${(data['reason'] as { kind: string }).kind}`),
  ).toEqual(['/top/one normal', '/top/touchy shutdown', '/top shutdown'])
})

test('a tree with an error is refused before anything is stored', async () => {
  const { troupe, store } = openLife(temporaryFolder(), { machines })
  await expect(troupe.start(spec({ restart: 'sometimes' }))).rejects.toEqual(expect.objectContaining({ code: 'E_TREE_INVALID' }))
  expect(store.runs()).toEqual([])
})

test('a run that reaches its deadline is limited at that instant, and a resume does not extend it', async () => {
  const clock = new VirtualClock()
  const { troupe } = openLife(temporaryFolder(), { machines, clock })
  const session = await troupe.start(spec({}), { deadlineMs: 500 })
  let status = 'running'
  void session.done().then((result) => {
    status = `${result.status} ${result.reason?.code}`
  })
  await clock.advance(499)
  expect(status).toBe('running')
  await clock.advance(1)
  expect(status).toBe('limited E_LIMIT_TIME')
  const again = await troupe.resume(session.id)
  await clock.settled()
  expect(await again.done()).toEqual(
    expect.objectContaining({ status: 'limited', reason: expect.objectContaining({ code: 'E_LIMIT_TIME' }) }),
  )
  const raised = await troupe.resume(session.id, { deadlineMs: 200 })
  let ended = false
  void raised.done().then(() => {
    ended = true
  })
  await clock.advance(199)
  expect(ended).toBe(false)
  await clock.advance(1)
  expect(ended).toBe(true)
})

test('time in which nothing ran counts against the deadline', async () => {
  const folder = temporaryFolder()
  const clock = new VirtualClock()
  const life = openLife(folder, { machines, clock })
  const session = await life.troupe.start(spec({}), { deadlineMs: 500 })
  await clock.advance(100)
  await life.kill(session)
  const later = new VirtualClock(clock.wallMs() + 400)
  const again = await openLife(folder, { machines, clock: later }).troupe.resume(session.id)
  await later.settled()
  expect(await again.done()).toEqual(expect.objectContaining({ status: 'limited' }))
})

test.each([
  ['within the period', 8_000, 'failed'],
  ['after it', 10_000, 'running'],
])('restarts before a death count after it: a second crash %s finds the run %s', async (_, downMs, expected) => {
  const folder = temporaryFolder()
  const clock = new VirtualClock()
  const tree = only('counter')
  const life = openLife(folder, { machines, clock })
  const session = await life.troupe.start({ ...tree, intensity: 1, periodMs: 9_000 })
  await clock.settled()
  await session.send('/top/one', { type: 'boom' })
  await clock.settled()
  await life.kill(session)
  const later = new VirtualClock(clock.wallMs() + downMs)
  const { troupe, store } = openLife(folder, { machines, clock: later })
  const again = await troupe.resume(session.id)
  await later.settled()
  await again.send('/top/one', { type: 'boom' })
  await later.settled()
  expect(store.run(session.id)?.status).toBe(expected)
})
