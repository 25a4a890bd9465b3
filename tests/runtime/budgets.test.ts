/** Budgets: what is reserved, settled, kept and refused, for the run and for actors, over retries, restarts, crashes and resumes. */
import { expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { z } from 'zod'
import { effect, Failure, type Reserve, type Usage } from '../../src/effect.ts'
import type { ActorLimits, ChildSpec } from '../../src/protocol.ts'
import type { RunSession, StartOptions } from '../../src/runtime/engine.ts'
import { codeOf, factsOf, type Life, openLife, temporaryFolder, VirtualClock } from '../harness.ts'

type Say = { usage: Usage; fail: boolean; hang: boolean }
const usd = (costUsd: number | null, tokens = 0): Usage => ({ inputTokens: tokens, outputTokens: 0, costUsd })

/** An agent that makes one call when told to; what it reserves and what comes of it is said by the test. */
function agent(reserve: Reserve, maxAttempts = 1) {
  const retry = { maxAttempts, baseDelayMs: 10, maxDelayMs: 10, exponentialBase: 1 }
  const call = effect({ kind: 'llm.call', input: z.unknown(), output: z.number(), repeat: 'repeat', retry, reserve: () => reserve })
  return setup({ types: { context: {} as { said: unknown[] } }, actors: { call } }).createMachine({
    id: 'agent',
    context: { said: [] },
    initial: 'idle',
    on: {
      crash: {
        actions: assign(() => {
          throw new Error('broken')
        }),
      },
    },
    states: {
      idle: { on: { go: 'calling' } },
      calling: {
        on: { leave: 'idle' },
        invoke: {
          src: 'call',
          onDone: { target: 'idle', actions: assign({ said: ({ context, event }) => [...context.said, event.output] }) },
          onError: { target: 'idle', actions: assign({ said: ({ context, event }) => [...context.said, event.error] }) },
        },
      },
    },
  })
}

/** One world over several lives of a process. */
function stage(reserve: Reserve, options: { maxAttempts?: number; limits?: ActorLimits; child?: Partial<ChildSpec> } = {}) {
  const folder = temporaryFolder()
  const clock = new VirtualClock()
  const says: Partial<Say>[] = []
  let calls = 0
  const machines = { agent: agent(reserve, options.maxAttempts) }
  const effects = {
    call: {
      perform: async (call: { spent: (usage: Usage) => void; signal: AbortSignal }) => {
        calls++
        const { usage, fail, hang } = says.shift() ?? {}
        if (hang) await new Promise((resolve) => call.signal.addEventListener('abort', resolve))
        if (hang && usage === undefined) throw new Error('cut')
        if (usage !== undefined) call.spent(usage)
        if (fail) throw new Failure('E_PROVIDER_OVERLOADED', 'no', { retry: 'backoff' })
        return calls
      },
    },
  }
  const child = (id: string): ChildSpec => ({ id, src: 'agent', ...(options.limits ? { limits: options.limits } : {}), ...options.child })
  const tree = { id: 'top', intensity: 10, children: [child('one'), child('two')] }
  const open = (): Life => openLife(folder, { machines, effects: { 'llm.call': effects.call } as never, clock })
  const tell = async (run: RunSession, type: string, to = '/top/one') => {
    await run.send(to, { type })
    await clock.advance(100)
  }
  const start = async (life: Life, budget: StartOptions['budget']) => {
    const run = await life.troupe.start(tree, budget === undefined ? {} : { budget })
    await clock.settled()
    return run
  }
  const said = (run: RunSession, at = '/top/one') => (run.snapshot(at)!.context as { said: { code?: string; message?: string }[] }).said
  const codes = (run: RunSession, at = '/top/one') => said(run, at).map((one) => one.code ?? 'ok')
  return { clock, says, open, start, tell, said, codes, calls: () => calls }
}

test('a limit of money says what is spent, what the next call may cost, and what the limit is', async () => {
  const { says, open, start, tell, said, calls } = stage({ tokens: 10, usd: 0.09 })
  const life = open()
  const run = await start(life, { usdMax: 2 })
  says.push({ usage: usd(1.97) })
  await tell(run, 'go')
  await tell(run, 'go')
  expect(said(run)[1]).toMatchObject({
    code: 'E_LIMIT_COST',
    message: '$1.97 spent, the next call may cost $0.09, the limit is $2.00',
    path: '/top/one',
  })
  expect(factsOf(life.store, run.id, 'limit.reached').map(({ data }) => data)).toEqual([
    { which: 'usd', spent: 1.97, reserved: 0, worst: 0.09, limit: 2 },
  ])
  // One that used more than it had reserved is on record as it was.
  expect(factsOf(life.store, run.id, 'budget.exceeded').map(({ data }) => data)).toEqual([
    { effect: 'e1', kind: 'llm.call', attempt: 1, charged: { tokens: 0, usd: 1.97, turns: 0 }, worst: { tokens: 10, usd: 0.09, turns: 0 } },
  ])
  expect(calls()).toBe(1)
  await run.stop()
})

test('turns are counted by answers: a failed attempt takes none, and past the limit the call is refused', async () => {
  const { says, open, start, tell, codes } = stage({ tokens: 0, turns: 1 })
  const life = open()
  const run = await start(life, { turnsMax: 2 })
  says.push({ fail: true }, {}, {})
  for (let n = 0; n < 4; n++) await tell(run, 'go')
  expect(codes(run)).toEqual(['E_PROVIDER_OVERLOADED', 'ok', 'ok', 'E_LIMIT_TURNS'])
  await run.stop()
})

test('where money is limited, a call whose price is unknown is refused; where it is not, its cost is null and never 0', async () => {
  const { says, open, start, tell, codes } = stage({ tokens: 10, usd: null })
  const life = open()
  const limited = await start(life, { usdMax: 100, tokensMax: 1_000 })
  await tell(limited, 'go')
  expect(codes(limited)).toEqual(['E_PRICE_UNKNOWN'])
  await limited.stop()
  const free = await start(life, { tokensMax: 1_000 })
  says.push({ usage: usd(null, 5) })
  await tell(free, 'go')
  expect((await free.stop()).usage).toMatchObject({ inputTokens: 5, costUsd: null, costBasis: 'unknown' })
})

test('three calls of $0.10 fit a budget of $0.30, and no fourth: money is added up in whole numbers', async () => {
  const { says, open, start, tell, codes } = stage({ tokens: 0, usd: 0.1 })
  const run = await start(open(), { usdMax: 0.3 })
  says.push({ usage: usd(0.1) }, { usage: usd(0.1) }, { usage: usd(0.1) })
  for (let n = 0; n < 4; n++) await tell(run, 'go')
  expect(codes(run)).toEqual(['ok', 'ok', 'ok', 'E_LIMIT_COST'])
  expect((await run.stop()).usage.costUsd).toBe(0.3)
})

test('each further attempt is a reservation of its own: without room for it the effect fails with the limit, and its cause is the attempt before', async () => {
  const { says, open, start, tell, said, calls } = stage({ tokens: 60 }, { maxAttempts: 3 })
  const life = open()
  const run = await start(life, { tokensMax: 100 })
  says.push({ usage: usd(0, 50), fail: true })
  await tell(run, 'go')
  expect(said(run)[0]).toMatchObject({ code: 'E_LIMIT_TOKENS', cause: { code: 'E_PROVIDER_OVERLOADED' } })
  expect([calls(), life.store.effects(run.id)[0]?.usage?.inputTokens]).toEqual([1, 50])
  await run.stop()
})

test('what a crash cuts off stays spent: the journal says so, and a resume neither forgets it nor charges it twice', async () => {
  const { says, open, start, tell, codes, calls, clock } = stage({ tokens: 60, usd: 0.02, turns: 1 })
  const first = open()
  const run = await start(first, { tokensMax: 100 })
  says.push({ hang: true })
  await tell(run, 'go')
  await first.kill(run)
  const second = open()
  const again = await second.troupe.resume(run.id)
  await clock.advance(100)
  expect([codes(again), calls()]).toEqual([['E_LIMIT_TOKENS'], 1])
  expect(factsOf(second.store, run.id, 'budget.kept').map(({ data }) => data)).toEqual([
    { effect: 'e1', kind: 'llm.call', attempt: 1, charged: { tokens: 60, usd: 0.02, turns: 1 } },
  ])
  await again.stop()
  const raised = await second.troupe.resume(run.id, { budget: { tokensMax: 160 } })
  says.push({ usage: usd(0, 40) })
  await clock.settled()
  for (let n = 0; n < 2; n++) await tell(raised, 'go')
  expect([codes(raised), second.store.run(run.id)?.limits.spent?.tokens]).toEqual([['E_LIMIT_TOKENS', 'ok', 'ok'], 100])
  await raised.stop()
})

test('a resume with a higher budget lets what was cut off be done again at once', async () => {
  const { says, open, start, tell, codes, clock } = stage({ tokens: 60 })
  const first = open()
  const run = await start(first, { tokensMax: 100 })
  says.push({ hang: true }, { usage: usd(0, 10) })
  await tell(run, 'go')
  await first.kill(run)
  const second = open()
  const again = await second.troupe.resume(run.id, { budget: { tokensMax: 120 } })
  await clock.advance(100)
  expect([codes(again), second.store.run(run.id)?.limits.spent?.tokens]).toEqual([['ok'], 70])
  await again.stop()
})

test('a cancelled call counts as its worst case until its word comes, then as what it says; silent, or cut off by a crash, it stays so', async () => {
  const { says, open, start, tell, clock } = stage({ tokens: 60 })
  const life = open()
  const run = await start(life, { tokensMax: 1_000 })
  const spent = () => life.store.run(run.id)?.limits.spent?.tokens
  says.push({ hang: true, usage: usd(0, 7) })
  await tell(run, 'go')
  await tell(run, 'leave')
  expect(spent()).toBe(7)
  says.push({ hang: true })
  await tell(run, 'go')
  await tell(run, 'leave')
  expect([spent(), life.store.effects(run.id)[1]?.lost]).toEqual([67, 1])
  await clock.settled()
  await run.stop()
})

test('a call that a stop of the run cuts off is settled with what it says, and the resume that does it again charges no more for that', async () => {
  const { says, open, start, tell, codes, clock } = stage({ tokens: 60 }, { maxAttempts: 1 })
  const life = open()
  const run = await start(life, { tokensMax: 100 })
  says.push({ hang: true, usage: usd(0, 5), fail: true }, { usage: usd(0, 20) })
  await tell(run, 'go')
  await run.stop()
  expect(life.store.run(run.id)?.limits.spent?.tokens).toBe(5)
  const again = await life.troupe.resume(run.id)
  await clock.advance(100)
  expect([codes(again), life.store.run(run.id)?.limits.spent?.tokens, life.store.effects(run.id)[0]?.lost]).toEqual([['ok'], 25, undefined])
  await again.stop()
})

test('a budget of an actor is for all lives of its address: a restart grants nothing, nor does being deleted and started by hand', async () => {
  const { says, open, start, tell, codes, clock } = stage({ tokens: 60 }, { limits: { budget: { tokensMax: 100 } } })
  const life = open()
  const run = await start(life, undefined)
  says.push({ usage: usd(0, 60) })
  await tell(run, 'go')
  await tell(run, 'crash')
  await tell(run, 'go')
  expect(codes(run)).toEqual(['E_LIMIT_TOKENS'])
  expect(factsOf(life.store, run.id, 'limit.reached')[0]?.data).toMatchObject({ spent: 60, limit: 100, owner: '/top/one' })
  const ask = async (type: string, more: object) => {
    const answer = run.ask('/top', { type, ...more })
    await clock.advance(100)
    return (await answer).type
  }
  const spec = { id: 'one', src: 'agent', limits: { budget: { tokensMax: 100 } } }
  expect([await ask('child.stop', { id: 'one' }), await ask('child.delete', { id: 'one' })]).toEqual(['child.stopped', 'child.deleted'])
  expect(await ask('child.start', { spec })).toBe('child.started')
  await tell(run, 'go')
  expect(codes(run)).toEqual(['E_LIMIT_TOKENS'])
  // Its sibling has a budget of its own.
  await tell(run, 'go', '/top/two')
  expect(codes(run, '/top/two')).toEqual(['ok'])
  await run.stop()
})

test('a run that holds its calls back stands still as limited, and goes on exactly there when its budget is raised; unraised it stands still again', async () => {
  const { says, open, start, tell, codes, clock } = stage({ tokens: 10, usd: 0.06 })
  const life = open()
  const run = await start(life, { usdMax: 0.1, whenReached: 'hold' })
  says.push({ usage: usd(0.05) }, { usage: usd(0.06) })
  await tell(run, 'go')
  await tell(run, 'go')
  const limited = {
    status: 'limited',
    reason: { code: 'E_LIMIT_COST', message: '$0.05 spent, the next call may cost $0.06, the limit is $0.10' },
  }
  expect(await run.done()).toMatchObject(limited)
  const unraised = await life.troupe.resume(run.id)
  await clock.settled()
  expect(await unraised.done()).toMatchObject(limited)
  const raised = await life.troupe.resume(run.id, { budget: { usdMax: 0.11 } })
  await clock.advance(100)
  expect([codes(raised), factsOf(life.store, run.id, 'limit.raised').map(({ data }) => data)]).toEqual([
    ['ok', 'ok'],
    [{ which: 'usd', from: 0.1, to: 0.11 }],
  ])
  expect((await raised.stop()).usage.costUsd).toBe(0.11)
})

test('a call that is held back is let go as soon as others have used less than they had reserved', async () => {
  const { says, open, start, tell, codes } = stage({ tokens: 60 })
  const run = await start(open(), { tokensMax: 100, whenReached: 'hold' })
  says.push({ hang: true, usage: usd(0, 5) }, { usage: usd(0, 1) })
  await tell(run, 'go')
  await tell(run, 'go', '/top/two')
  expect(codes(run, '/top/two')).toEqual([])
  await tell(run, 'leave')
  expect(codes(run, '/top/two')).toEqual(['ok'])
  await run.stop()
})

test('opening a run with a budget reads none of its effects: what was spent is beside the budget', async () => {
  const { says, open, start, tell, clock, codes } = stage({ tokens: 60 }, { limits: { budget: { tokensMax: 500 } } })
  const first = open()
  const run = await start(first, { tokensMax: 130 })
  says.push({ usage: usd(0, 60) })
  await tell(run, 'go')
  await run.stop()
  const second = open()
  const read = second.store.effects
  let reads = 0
  second.store.effects = (...given) => {
    reads++
    return read(...given)
  }
  const again = await second.troupe.resume(run.id)
  await clock.settled()
  await tell(again, 'go')
  await tell(again, 'go', '/top/two')
  expect([codes(again), codes(again, '/top/two'), reads]).toEqual([['ok', 'ok'], ['ok'], 0])
  await again.stop()
})

test.each([
  [{ usdMax: -1 }, 'budget.usdMax cannot be -1'],
  [{ turnsMax: Number.NaN }, 'budget.turnsMax cannot be NaN'],
  [{ whenReached: 'wait' }, 'budget.whenReached cannot be "wait"'],
])('a budget of %o is refused before anything is stored', async (budget, message) => {
  const { open, start } = stage({ tokens: 1 })
  const life = open()
  const starting = start(life, budget as never)
  expect(await codeOf(starting)).toBe('E_USAGE')
  await expect(starting).rejects.toThrow(message)
  expect(life.store.runs()).toEqual([])
})
