/** What an `after` does while nobody runs: its state says so, a resume carries it out to the millisecond, on both stores. */
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { dueAfter } from '../../src/runtime/engines/local/downtime.ts'
import type { TimerRow } from '../../src/runtime/store.ts'
import { memoryStore, sharedMemory } from '../../src/runtime/stores/memory.ts'
import { codeOf, factsOf, Killed, type Life, type LifeOptions, only, openLife, temporaryFolder, VirtualClock } from '../harness.ts'

const waiting = setup({ types: { events: {} as { type: 'ping' } }, delays: { soon: () => 10_000 } })
const machineOf = (meta: object, delay: number | 'soon' = 10_000) =>
  waiting.createMachine({
    id: 'waiting',
    initial: 'open',
    states: { open: { meta, on: { ping: {} }, after: { [delay]: 'late' as const } }, late: {} },
  })

/** Opens lives on one store, one after the other. */
type Opener = (options: Omit<LifeOptions<Record<string, ReturnType<typeof machineOf>>>, 'store'>) => Life
const STORES: readonly [string, () => Opener][] = [
  [
    'sqlite',
    () => {
      const folder = temporaryFolder()
      return (options) => openLife(folder, options)
    },
  ],
  [
    'memory',
    () => {
      const shared = sharedMemory()
      return (options) => openLife(temporaryFolder(), { ...options, store: memoryStore(shared) })
    },
  ],
]

/** Set at 0 of the run clock for 10 s; the last commit is at 4 s; nobody runs for a minute. */
async function die(open: Opener, machines: Record<string, ReturnType<typeof machineOf>>, pinged = true) {
  const clock = new VirtualClock()
  const life = open({ machines, clock })
  const session = await life.troupe.start(only('waiting'))
  await clock.advance(4_000)
  if (pinged) await session.send('/top/one', { type: 'ping' })
  await clock.settled()
  await life.kill(session)
  return { run: session.id, diedAt: clock.wallMs() }
}

const moved = (from: number, to: number, policy: string, timer = 2) => ({
  timer,
  was: timer - 1,
  id: 'xstate.after.10000.waiting.open',
  from,
  to,
  policy,
})

const CASES: readonly [string, object, number, number, object[]][] = [
  ['absolute: overdue at the resume', { deadline: 'absolute' }, 0, 54_000, []],
  ['no word: as absolute', {}, 0, 54_000, []],
  ['a word of the user, which is no text: as absolute', { deadline: { hours: 5 } }, 0, 54_000, []],
  ['remaining: six seconds are left', { deadline: 'remaining' }, 6_000, 0, [moved(10_000, 70_000, 'remaining')]],
  ['restart: ten seconds from the resume', { deadline: 'restart' }, 10_000, 0, [moved(10_000, 74_000, 'restart')]],
]

test.each(STORES.flatMap(([name, opener]) => CASES.map((row) => [name, ...row, opener] as const)))(
  '%s: an after whose state says %s',
  async (_, __, meta, leftMs, lateMs, facts, opener) => {
    const open = opener()
    const machines = { waiting: machineOf(meta) }
    const { run, diedAt } = await die(open, machines)
    const clock = new VirtualClock(diedAt + 60_000)
    const { troupe, store } = open({ machines, clock })
    const session = await troupe.resume(run)
    expect([session.recovery?.timersOverdue, session.recovery?.timersPending]).toEqual(leftMs === 0 ? [1, 0] : [0, 1])
    if (leftMs > 0) {
      await clock.advance(leftMs - 1)
      expect(session.snapshot('/top/one')?.value).toBe('open')
      await clock.advance(1)
    }
    await clock.settled()
    expect({
      value: session.snapshot('/top/one')?.value,
      moved: factsOf(store, run, 'timer.moved').map(({ data }) => data),
      fired: factsOf(store, run, 'timer.fired').map(({ data }) => data['lateMs']),
    }).toEqual({ value: 'late', moved: facts, fired: [lateMs] })
  },
)

test.each([
  ['remaining', 70_000],
  ['restart', 74_000],
])('a named delay of a state that says %s is moved as one that is a number', async (deadline, dueAt) => {
  const open = STORES[0]![1]()
  const machines = { waiting: machineOf({ deadline }, 'soon') }
  const { run, diedAt } = await die(open, machines)
  const clock = new VirtualClock(diedAt + 60_000)
  const { troupe, store } = open({ machines, clock })
  await troupe.resume(run)
  await clock.settled()
  expect(factsOf(store, run, 'timer.moved').map(({ data }) => [data['id'], data['to']])).toEqual([
    ['xstate.after.soon.waiting.open', dueAt],
  ])
})

test('a resume that dies in its first commit has moved nothing, and the next one counts all of the downtime once', async () => {
  const open = STORES[0]![1]()
  const machines = { waiting: machineOf({ deadline: 'remaining' }) }
  const { run, diedAt } = await die(open, machines)
  const onCommit = (): never => {
    throw new Killed('in the first commit')
  }
  const second = open({ machines, clock: new VirtualClock(diedAt + 50_000), onCommit })
  const dying = await second.troupe.resume(run)
  expect(await codeOf(dying.done())).toBe('Killed: in the first commit')
  await second.kill()
  const clock = new VirtualClock(diedAt + 60_000)
  const { troupe, store } = open({ machines, clock })
  await troupe.resume(run)
  await clock.settled()
  expect(factsOf(store, run, 'timer.moved').map(({ data }) => data)).toEqual([moved(10_000, 70_000, 'remaining')])
})

test('a timer that is moved by two downtimes stands still in both', async () => {
  const open = STORES[0]![1]()
  const machines = { waiting: machineOf({ deadline: 'remaining' }) }
  const { run, diedAt } = await die(open, machines)
  const between = new VirtualClock(diedAt + 60_000)
  const second = open({ machines, clock: between })
  const session = await second.troupe.resume(run)
  await between.advance(1_000)
  await session.send('/top/one', { type: 'ping' })
  await second.kill(session)
  const clock = new VirtualClock(between.wallMs() + 30_000)
  const { troupe, store } = open({ machines, clock })
  const again = await troupe.resume(run)
  await clock.advance(4_999)
  expect(again.snapshot('/top/one')?.value).toBe('open')
  await clock.advance(1)
  expect(again.snapshot('/top/one')?.value).toBe('late')
  expect(factsOf(store, run, 'timer.moved').map(({ data }) => [data['from'], data['to']])).toEqual([
    [10_000, 70_000],
    [70_000, 100_000],
  ])
})

test('what no commit holds counts as time in which nobody ran', async () => {
  const open = STORES[0]![1]()
  const machines = { waiting: machineOf({ deadline: 'remaining' }) }
  const { run, diedAt } = await die(open, machines, false)
  const clock = new VirtualClock(diedAt + 60_000)
  const { troupe, store } = open({ machines, clock })
  await troupe.resume(run)
  await clock.settled()
  expect(factsOf(store, run, 'timer.moved').map(({ data }) => data['to'])).toEqual([74_000])
})

test.each([
  ['remaining', 3_999, 3_999],
  ['remaining', 4_000, 4_000],
  ['remaining', 4_001, 64_001],
  ['restart', 4_000, 4_000],
  ['restart', 4_001, 74_000],
] as const)(
  'a timer of policy %s that was due at %i, with the last commit at 4000, is due at %i after a minute',
  (policy, dueAt, after) => {
    const timer = { policy, dueAt, delayMs: 10_000 } as TimerRow
    expect(dueAfter(timer, 4_000, 64_000)).toBe(after)
  },
)

test('a word that is none of the three is refused before anything runs, where there is a deadline that it would be of', async () => {
  const open = (): unknown => openLife(temporaryFolder(), { machines: { waiting: machineOf({ deadline: 'remainig' }) } })
  expect(open).toThrow("machine waiting, `waiting.open`: its meta.deadline is 'remainig'")
  expect(await codeOf(() => open())).toBe('E_MACHINE_INVALID')
  const idle = waiting.createMachine({ id: 'idle', meta: { deadline: 'friday' } })
  expect(await codeOf(() => openLife(temporaryFolder(), { machines: { idle } }))).toBe('none')
})
