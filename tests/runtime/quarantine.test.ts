/** How often the process of a run may die before the run is not started any more: what counts, what does not, and for how long. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { z } from 'zod'
import { createTroupe } from '../../src/actors/troupe.ts'
import { effect } from '../../src/effect.ts'
import type { UserError } from '../../src/errors.ts'
import type { ResumeOptions, StartOptions } from '../../src/runtime/engine.ts'
import { localEngine } from '../../src/runtime/engines/local.ts'
import type { Store } from '../../src/runtime/store.ts'
import { memoryStore, sharedMemory } from '../../src/runtime/stores/memory.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { codeOf, factsOf, type Life, only, openLife, temporaryFolder, VirtualClock, waitUntil } from '../harness.ts'

const MINUTE = 60_000

const light = effect({ kind: 'fuse.light', input: z.object({}), output: z.null(), repeat: 'prove' })
const bomb = setup({ actors: { light } }).createMachine({
  id: 'bomb',
  initial: 'idle',
  states: { idle: { on: { go: 'lit' } }, lit: { invoke: { src: 'light', input: {}, onDone: 'gone' } }, gone: { type: 'final' } },
})

const burning = { light: { perform: () => new Promise<null>(() => {}), prove: () => ({ verdict: 'unknown' }) as const } }

/** Lives of one run on one clock. In each the fuse burns until the process is dead. */
function lives() {
  const [folder, clock] = [temporaryFolder(), new VirtualClock()]
  const lit: number[] = []
  let life: Life | undefined
  let run = ''
  const never = (): Promise<never> => new Promise(() => {})
  const open = (prove: () => Promise<{ verdict: 'not_applied' }> = async () => ({ verdict: 'not_applied' })): Life => {
    const number = lit.push(0) - 1
    const perform = (): Promise<never> => {
      lit[number]!++
      return never()
    }
    life = openLife(folder, { machines: { bomb }, clock, quarantine: true, effects: { light: { perform, prove } } })
    return life
  }
  /** Whoever is alive. */
  const look = <T>(read: (store: Store) => T): T => {
    const store = sqliteStore({ path: join(folder, 'troupe.db') })
    try {
      return read(store)
    } finally {
      store.close()
    }
  }
  return {
    clock,
    /** How often the effect was begun, in each life. */
    lit,
    open,
    row: () => look((store) => store.run(run)!),
    facts: (...types: string[]) => look((store) => factsOf(store, run, ...types)),
    async start(options: StartOptions = {}) {
      const session = await open().troupe.start(only('bomb'), options)
      run = session.id
      await session.send('/top/one', { type: 'go' })
      return session
    },
    resume: (options: ResumeOptions = {}, prove?: () => Promise<{ verdict: 'not_applied' }>) => open(prove).troupe.resume(run, options),
    kill: () => life!.kill(),
    /** Something is committed now, and the process is gone. */
    async die(session: Awaited<ReturnType<Life['troupe']['resume']>>) {
      await session.send('/top/one', { type: 'tick' })
      await clock.settled()
      await life!.kill(session)
    },
  }
}

test('the third crash within ten minutes puts the run into quarantine: nothing of it is started, and the last place is named', async () => {
  const of = lives()
  await of.die(await of.start())
  for (let crash = 1; crash < 3; crash++) {
    const session = await of.resume()
    await of.clock.settled()
    expect(session.recovery?.crashes).toEqual({ count: crash, max: 3, periodMs: 10 * MINUTE })
    await of.die(session)
  }
  expect(of.facts('run.resumed').map(({ data }) => data['crashes'])).toEqual([1, 2])
  const error = await of.resume().then(
    () => null,
    (thrown: UserError) => thrown,
  )
  const { run, limits, owner, status, reason, endedAt } = of.row()
  const message = 'crashed 3 times in 10m, each at /top/one in `lit`'
  expect([error?.code, error?.message, error?.options]).toEqual([
    'E_RUN_QUARANTINED',
    message,
    {
      where: `run ${run}`,
      fix: `troupe logs ${run}, then: troupe resume ${run} --unquarantine`,
      exit: 1,
      evidence: [expect.stringMatching(/^the last that was heard of it: step\.committed tick \(#\d+\)$/)],
      details: { run, path: '/top/one', state: 'lit' },
    },
  ])
  expect({ status, owner, endedAt, code: reason?.code, message: reason?.message, seen: limits.crashes?.seen.length }).toEqual({
    status: 'quarantined',
    owner: null,
    endedAt: of.clock.wallMs(),
    code: 'E_RUN_QUARANTINED',
    message,
    seen: 3,
  })
  expect(of.facts().at(-1)).toMatchObject({
    type: 'run.quarantined',
    data: { crashes: 3, periodMs: 10 * MINUTE, path: '/top/one', state: 'lit', strays: [] },
  })
  const stood = of.row()
  expect([await codeOf(of.resume()), of.row(), of.lit]).toEqual(['E_RUN_QUARANTINED', stood, [1, 1, 1, 0, 0]])
})

test('crashes that are older than the period leave the window, however many there were', async () => {
  const of = lives()
  let session = await of.start()
  for (let crash = 1; crash <= 6; crash++) {
    await of.clock.advance(5 * MINUTE)
    await of.die(session)
    session = await of.resume()
    expect([crash, session.recovery?.crashes?.count]).toEqual([crash, Math.min(crash, 2)])
  }
  await of.clock.advance(1)
  await of.die(session)
  expect(await codeOf(of.resume())).toBe('E_RUN_QUARANTINED')
})

test('time in which no process was there counts: a run that a person resumes once a day is not quarantined', async () => {
  const of = lives()
  let session = await of.start()
  for (let day = 1; day <= 4; day++) {
    await of.die(session)
    of.clock.jumpWall(24 * 60 * MINUTE)
    session = await of.resume()
    expect(session.recovery?.crashes?.count).toBe(1)
  }
  await session.stop()
})

test('what ends in good order is no crash, nor is a living process whose run is taken over', async () => {
  const of = lives()
  let session = await of.start()
  for (let stop = 1; stop <= 4; stop++) {
    await session.stop()
    session = await of.resume()
    expect(session.recovery?.crashes).toBe(null)
  }
  for (let taken = 1; taken <= 4; taken++) {
    session = await of.resume({ takeOver: true })
    await of.clock.settled()
    expect(session.recovery?.crashes).toBe(null)
  }
  expect(of.row().limits).toEqual({ tokensMax: null, deadlineAt: null })
  await of.die(session)
  session = await of.resume({ takeOver: true })
  expect(session.recovery?.crashes?.count).toBe(1)
  await session.stop()
})

test('a run that dies while it is recovered, before it has written anything, is counted as well', async () => {
  const of = lives()
  await of.die(await of.start())
  for (let probe = 1; probe < 3; probe++) {
    let asked = false
    const dying = of.resume({}, () => {
      asked = true
      return new Promise(() => {})
    })
    dying.catch(() => {})
    await waitUntil('the effect is probed', () => asked)
    await of.kill()
  }
  expect(await codeOf(of.resume())).toBe('E_RUN_QUARANTINED')
  expect([of.facts('run.resumed'), of.facts('run.quarantined').length]).toEqual([[], 1])
})

test('a person who lets it go on empties the window, and a raised limit does not', async () => {
  const of = lives()
  await of.die(await of.start({ quarantine: { crashes: 2, periodMs: 1_000 } }))
  await of.die(await of.resume({ budget: { tokensMax: 7 } }))
  expect(of.row().limits).toMatchObject({ tokensMax: 7, crashes: { max: 2, periodMs: 1_000, seen: [{ path: '/top/one' }] } })
  expect(await codeOf(of.resume({ budget: { tokensMax: 9 } }))).toBe('E_RUN_QUARANTINED')
  const session = await of.resume({ unquarantine: true })
  await of.clock.settled()
  expect([session.recovery?.crashes, of.row().status, of.row().limits]).toEqual([
    null,
    'running',
    { tokensMax: 7, deadlineAt: null, crashes: { max: 2, periodMs: 1_000, seen: [] } },
  ])
  await of.die(session)
  expect((await of.resume()).recovery?.crashes?.count).toBe(1)
})

test('a run without a quarantine dies as often as it likes', async () => {
  const of = lives()
  await of.die(await of.start({ quarantine: false }))
  for (let crash = 1; crash <= 5; crash++) {
    const session = await of.resume()
    expect(session.recovery?.crashes).toBe(null)
    await of.die(session)
  }
})

test('a resume that fails in good order before it has begun is no crash', async () => {
  const shared = sharedMemory()
  const parts = { machines: { bomb }, effects: burning }
  const first = createTroupe({ ...parts, engine: localEngine({ store: memoryStore(shared) }) })
  const { id } = await first.start(only('bomb'))
  first.close()
  const store = memoryStore(shared)
  const reap = async (): Promise<never> => {
    throw new Error('no processes can be listed')
  }
  const failing = createTroupe({ ...parts, store, reap })
  for (let time = 1; time <= 5; time++) await expect(failing.resume(id)).rejects.toThrow('no processes can be listed')
  expect(store.run(id)?.limits).toEqual({ tokensMax: null, deadlineAt: null })
  const session = await createTroupe({ ...parts, store, reap: async () => [] }).resume(id)
  expect(session.recovery?.crashes?.count).toBe(1)
  await session.stop()
})

test('a run whose first effect kills its process, resumed by one process after the other, kills three and not one more', {
  timeout: 60_000,
}, () => {
  const path = join(temporaryFolder(), 'troupe.db')
  const child = join(import.meta.dirname, 'quarantine.child.ts')
  const deaths = Array.from({ length: 4 }, () => {
    const { signal, stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', child, path], { encoding: 'utf8', timeout: 20_000 })
    return [signal, stdout, stderr]
  })
  const [killed, refused] = [
    ['SIGKILL', '', ''],
    [null, 'E_RUN_QUARANTINED', ''],
  ]
  expect(deaths).toEqual([killed, killed, killed, refused])
  const store = sqliteStore({ path })
  const [{ status, reason } = {}] = store.runs()
  store.close()
  expect([status, reason]).toEqual([
    'quarantined',
    {
      code: 'E_RUN_QUARANTINED',
      message: 'crashed 3 times in 10m, each at /top/one in `lit`',
      path: '/top/one',
      state: 'lit',
      hint: expect.stringMatching(/^the last that was heard of it: effect\.started e1 fuse\.light \(#\d+\)$/),
      crashes: 3,
      periodMs: 10 * MINUTE,
    },
  ])
})

const FIX = 'give { crashes: 3, periodMs: 600_000 }, or false for no quarantine, or leave it out'
test.each([
  [{ crashes: 0, periodMs: 1 }, 'quarantine.crashes cannot be 0'],
  [{ crashes: 1.5, periodMs: 1 }, 'quarantine.crashes cannot be 1.5'],
  [{ crashes: 3, periodMs: 0 }, 'quarantine.periodMs cannot be 0'],
  [{ crashes: 3, periodMs: Number.POSITIVE_INFINITY }, 'quarantine.periodMs cannot be Infinity'],
  [{ crashes: 3 }, 'quarantine.periodMs cannot be a undefined'],
  [true, 'quarantine cannot be a boolean'],
  [null, 'quarantine cannot be null'],
])('a start with quarantine: %j is refused: %s', async (quarantine, message) => {
  const store = sqliteStore({ path: ':memory:' })
  const troupe = createTroupe({ store, machines: { bomb }, effects: burning })
  const refused = troupe.start(only('bomb'), { quarantine } as unknown as StartOptions)
  await expect(refused).rejects.toMatchObject({ code: 'E_USAGE', message, options: { where: 'start', fix: FIX, exit: 2 } })
  expect(store.runs()).toEqual([])
  troupe.close()
})
