/** Deadlines of effects: each fires at its instant, says what it was and what was seen last, and aborts the attempt. None is polled for. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runCommand } from '../../src/actors/sandboxes/none.ts'
import { type Deadlines, Failure, type RepeatPolicy, type RetryPolicy } from '../../src/effect.ts'
import { codeOf, factsOf, only, openLife, temporaryFolder, VirtualClock, waitUntil } from '../harness.ts'
import { type Call, type Handler, worker } from './worker.ts'

const TWICE: RetryPolicy = { maxAttempts: 2, baseDelayMs: 100, maxDelayMs: 1_000, exponentialBase: 2 }

/** Ends when it is aborted, as a handler should. */
const untilAborted = ({ signal }: Call): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))

interface Lived {
  readonly deadlines?: Deadlines
  readonly timeoutMs?: number
  readonly repeat?: RepeatPolicy
  readonly retry?: RetryPolicy
}

/** Starts the effect at 0 of the run clock. */
async function begin(options: Lived, perform: Handler['perform'], clock = new VirtualClock()) {
  const life = openLife(temporaryFolder(), { machines: { worker: worker(options) }, clock, effects: { work: { perform } } })
  const session = await life.troupe.start(only('worker'))
  await clock.settled()
  await session.send('/top/one', { type: 'go' })
  await clock.settled()
  const failures = () => factsOf(life.store, session.id, 'effect.failed').map(({ data }) => data)
  return { ...life, clock, session, failures }
}

type Act = (call: Call, after: (ms: number, then: () => void) => void) => void

test.each<[string, Lived, Act, number, object]>([
  ['start', { deadlines: { startMs: 50, firstMs: 900 } }, () => {}, 50, { which: 'start', limitMs: 50, lastSeen: 'nothing' }],
  [
    'start, though it shows that it is alive',
    { deadlines: { startMs: 50, idleMs: 10 } },
    ({ alive }, after) => after(40, alive),
    50,
    { which: 'start', limitMs: 50, lastSeen: 'alive, 40 ms after attempt 1 began' },
  ],
  [
    'first, from where it has begun',
    { deadlines: { startMs: 50, firstMs: 400, idleMs: 10 } },
    ({ started }, after) => after(20, started),
    420,
    { which: 'first', limitMs: 400, lastSeen: 'started, 20 ms after attempt 1 began' },
  ],
  [
    'start, while a model is being loaded (P19): that is no output, and it has not begun',
    { deadlines: { startMs: 500, firstMs: 100, idleMs: 10 } },
    ({ progress }, after) => after(20, () => progress({ loading: true })),
    500,
    { which: 'start', limitMs: 500, lastSeen: 'alive, 20 ms after attempt 1 began' },
  ],
  [
    'first, from where the model is there (P19), however long it was loaded',
    { deadlines: { startMs: 500, firstMs: 100, idleMs: 10 } },
    ({ progress, started }, after) => {
      after(20, () => progress({ loading: true }))
      after(400, () => progress({ loading: false }))
      after(400, started)
    },
    500,
    { which: 'first', limitMs: 100, lastSeen: 'started, 400 ms after attempt 1 began' },
  ],
  [
    'idle, of one that says nothing at all',
    { deadlines: { idleMs: 70 } },
    () => {},
    70,
    { which: 'idle', limitMs: 70, lastSeen: 'nothing' },
  ],
  [
    'idle, after the last sign of life',
    { deadlines: { firstMs: 400, idleMs: 70 } },
    ({ progress, alive }, after) => {
      after(300, () => progress('token'))
      after(365, alive)
      after(430, alive)
    },
    500,
    { which: 'idle', limitMs: 70, lastSeen: 'alive, 430 ms after attempt 1 began' },
  ],
  [
    'attempt, though it is busy',
    { timeoutMs: 120, deadlines: { idleMs: 70 } },
    ({ progress }, after) => {
      after(60, () => progress(1))
      after(119, () => progress(2))
    },
    120,
    { which: 'attempt', limitMs: 120, lastSeen: 'progress, 119 ms after attempt 1 began' },
  ],
  [
    'total, before another one of the same instant',
    { timeoutMs: 120, deadlines: { totalMs: 120 } },
    () => {},
    120,
    { which: 'total', limitMs: 120, lastSeen: 'nothing' },
  ],
])('F1 by instant: the deadline %s passes when it is due and not a millisecond before', async (_, options, act, dueMs, expected) => {
  const clock = new VirtualClock()
  const reasons: unknown[] = []
  const { failures, session } = await begin(
    options,
    (call) => {
      act(call, (ms, then) => void clock.setTimer(ms, then))
      call.signal.addEventListener('abort', () => reasons.push((call.signal.reason as Failure).code))
      return untilAborted(call)
    },
    clock,
  )
  await clock.advance(dueMs - 1)
  expect([reasons, failures()]).toEqual([[], []])
  await clock.advance(1)
  expect({ reasons, failures: failures(), heard: session.snapshot('/top/one')?.context }).toEqual({
    reasons: ['E_EFFECT_TIMEOUT'],
    failures: [expect.objectContaining({ code: 'E_EFFECT_TIMEOUT', ...expected })],
    heard: { result: 'E_EFFECT_TIMEOUT' },
  })
})

test('the message of a deadline names the effect, the limit and what was seen last', async () => {
  const { clock, failures } = await begin({ deadlines: { firstMs: 30 } }, (call) => {
    call.started()
    return untilAborted(call)
  })
  await clock.advance(30)
  expect(failures().map(({ message }) => message)).toEqual([
    'work.do gave nothing within 30 ms; last seen: started, 0 ms after attempt 1 began',
  ])
})

test('an attempt that keeps its deadlines hears nothing of them, and its signs of life cost no timer each', async () => {
  const clock = new VirtualClock()
  let timers = 0
  const setTimer = clock.setTimer.bind(clock)
  const { session } = await begin(
    { timeoutMs: 9_000, deadlines: { startMs: 10, firstMs: 50, idleMs: 60, totalMs: 9_000 } },
    async ({ started, alive, progress }) => {
      started()
      progress('first')
      clock.setTimer = (...timer) => {
        timers++
        return setTimer(...timer)
      }
      for (let n = 0; n < 1_000; n++) alive()
      clock.setTimer = setTimer
      return 7
    },
    clock,
  )
  await clock.advance(20_000)
  expect({ timers, heard: session.snapshot('/top/one')?.context }).toEqual({ timers: 0, heard: { result: 7 } })
})

test.each<[RepeatPolicy, number, string]>([
  ['repeat', 2, 'failed'],
  ['prove', 2, 'failed'],
  ['ask', 1, 'in_doubt'],
])('an attempt of policy %s that was late is performed %i times, and then %s', async (repeat, times, status) => {
  let performed = 0
  const { clock, store, session } = await begin({ repeat, retry: TWICE, deadlines: { idleMs: 50 } }, (call) => {
    performed++
    return untilAborted(call)
  })
  await clock.advance(1_000)
  expect({ performed, row: store.effects(session.id)[0] }).toEqual({ performed: times, row: expect.objectContaining({ status }) })
})

const BUSY = (): never => {
  throw new Failure('E_BUSY', 'busy', { retry: 'backoff' })
}
const OFTEN: RetryPolicy = { maxAttempts: 50, baseDelayMs: 400, maxDelayMs: 400, exponentialBase: 1 }

test('a total deadline goes on over attempts and waits, and ends the attempt that it meets; it is not tried again', async () => {
  const clock = new VirtualClock()
  const attempts: string[] = []
  const { failures } = await begin(
    { retry: OFTEN, deadlines: { totalMs: 1_000 } },
    (call) => {
      attempts.push(`${call.attempt} at ${clock.monotonicMs()}`)
      return call.attempt < 3 ? BUSY() : untilAborted(call)
    },
    clock,
  )
  await clock.advance(999)
  expect({ attempts, failures: failures() }).toEqual({ attempts: ['1 at 0', '2 at 400', '3 at 800'], failures: [] })
  await clock.advance(1)
  const before = expect.objectContaining({ code: 'E_BUSY' })
  const late = { code: 'E_EFFECT_TIMEOUT', which: 'total', attempts: 3, cause: before, retry: 'never' }
  expect(failures()).toEqual([expect.objectContaining(late)])
  await clock.advance(10_000)
  expect(attempts).toHaveLength(3)
})

test('an attempt that could begin only after the total deadline is not waited for: the error that is known stands', async () => {
  const { clock, failures } = await begin({ retry: OFTEN, deadlines: { totalMs: 700 } }, BUSY)
  await clock.advance(399)
  expect(failures()).toEqual([])
  await clock.advance(1)
  expect(failures()).toEqual([expect.objectContaining({ code: 'E_BUSY', attempts: 2 })])
})

test('a total deadline passes at its instant for an effect that waits for its turn', async () => {
  const clock = new VirtualClock()
  const machines = { worker: worker({ deadlines: { totalMs: 300 } }), slow: worker() }
  const perform = (call: Call): Promise<number> =>
    new Promise((resolve) => clock.setTimer(call.path === '/top/slow' ? 500 : 0, () => resolve(1)))
  const { troupe, store } = openLife(temporaryFolder(), { machines, clock, effects: { work: { perform, concurrency: 1 } } })
  const session = await troupe.start({ id: 'top', children: ['slow', 'worker'].map((src) => ({ id: src, src })) })
  await clock.settled()
  for (const id of ['slow', 'worker']) {
    await session.send(`/top/${id}`, { type: 'go' })
    await clock.settled()
  }
  await clock.advance(299)
  expect(session.snapshot('/top/worker')?.value).toBe('working')
  await clock.advance(1)
  expect(factsOf(store, session.id, 'effect.failed').map(({ data }) => [data['which'], data['lastSeen']])).toEqual([
    ['total', 'it had not been started'],
  ])
  await clock.advance(1_000)
  expect(['/top/slow', '/top/worker'].map((address) => session.snapshot(address)?.context)).toEqual([
    { result: 1 },
    { result: 'E_EFFECT_TIMEOUT' },
  ])
})

test.each([
  ['before it', 500, 'E_BUSY', 1_000],
  ['after it', 5_000, 'E_EFFECT_TIMEOUT', 0],
])('a total deadline is not begun anew by a resume %s', async (_, downMs, code, restMs) => {
  const folder = temporaryFolder()
  const machines = { worker: worker({ retry: OFTEN, deadlines: { totalMs: 2_000 } }) }
  const clock = new VirtualClock()
  const first = openLife(folder, { machines, clock, effects: { work: { perform: BUSY } } })
  const session = await first.troupe.start(only('worker'))
  await clock.settled()
  await session.send('/top/one', { type: 'go' })
  await clock.advance(500)
  await first.kill(session)
  const later = new VirtualClock(clock.wallMs() + downMs)
  const { troupe, store } = openLife(folder, { machines, clock: later, effects: { work: { perform: BUSY } } })
  await troupe.resume(session.id)
  await later.settled()
  const failed = () => factsOf(store, session.id, 'effect.failed').map(({ data }) => data['code'])
  if (restMs > 0) {
    await later.advance(500)
    expect(failed()).toEqual([])
  }
  await later.advance(restMs)
  expect(failed()).toEqual([code])
})

test.each<[string, object, RegExp]>([
  ['a deadline of nothing', { deadlines: { idleMs: 0 } }, /'work' has idleMs 0/],
  ['a deadline that is no number', { deadlines: { totalMs: Number.NaN } }, /'work' has totalMs NaN/],
  ['a deadline that there is not', { deadlines: { firstTokenMs: 5 } }, /'work' has a deadline 'firstTokenMs'/],
  ['a time of an attempt below nothing', { timeoutMs: -1 }, /'work' has timeoutMs -1/],
  ['no attempt at all', { retry: { ...TWICE, maxAttempts: 0 } }, /'work' has maxAttempts 0/],
  ['waits that are no number', { retry: { ...TWICE, baseDelayMs: Number.NaN } }, /'work' has baseDelayMs NaN/],
  ['waits that shrink', { retry: { ...TWICE, exponentialBase: 0.5 } }, /'work' has exponentialBase 0.5/],
])('an effect that is declared with %s is refused before anything runs', async (_, declared, message) => {
  const open = (): unknown => openLife(temporaryFolder(), { machines: { worker: worker(declared) } })
  expect(await codeOf(() => open())).toBe('E_MACHINE_INVALID')
  expect(open).toThrow(message)
})

/** Is there still a process of this id? A dead one that nobody has waited for is none. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

test('F1: a command that would sleep for an hour is ended by its limit of one second, and its process is gone', async () => {
  const folder = temporaryFolder()
  const perform = async ({ run, id, signal }: Call): Promise<number> => {
    await runCommand({ command: 'echo $$ > pid; exec sleep 3600', cwd: folder, run, effect: id, signal })
    return 1
  }
  const life = openLife(folder, { machines: { worker: worker({ deadlines: { totalMs: 1_000 } }) }, effects: { work: { perform } } })
  const session = await life.troupe.start(only('worker'))
  const began = performance.now()
  await session.send('/top/one', { type: 'go' })
  const pidOf = (): number => {
    try {
      return Number(readFileSync(join(folder, 'pid'), 'utf8'))
    } catch {
      return 0
    }
  }
  await waitUntil('it sleeps', () => pidOf() > 0 && isAlive(pidOf()))
  await waitUntil('the machine has heard', () => session.snapshot('/top/one')?.value === 'idle')
  const tookMs = performance.now() - began
  expect({ heard: session.snapshot('/top/one')?.context, alive: isAlive(pidOf()) }).toEqual({
    heard: { result: 'E_EFFECT_TIMEOUT' },
    alive: false,
  })
  expect(tookMs).toBeGreaterThanOrEqual(1_000)
  expect(tookMs).toBeLessThan(6_000)
})
