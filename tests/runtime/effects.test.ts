/** Effects: nothing is performed before its intent is on record, nothing with an outcome is performed again, and what nobody knows is said to be in doubt. */
import { expect, test } from 'vitest'
import { Failure, type RepeatPolicy, type Verdict } from '../../src/effect.ts'
import { factsOf, only, openLife, temporaryFolder, VirtualClock, waitUntil } from '../harness.ts'
import { type Call, type Handler, hang, worker } from './worker.ts'

test('an effect is performed only after its intent and its start are on record', async () => {
  const seen: unknown[] = []
  const folder = temporaryFolder()
  const machines = { worker: worker() }
  const life = openLife(folder, {
    machines,
    effects: {
      work: {
        perform: ({ run, id, key, attempt, path, input }: Call) => {
          const [row] = openLife(folder, { machines }).store.effects(run)
          seen.push({
            id,
            key: key.replace(run, 'RUN'),
            attempt,
            path,
            input,
            stored: row && { id: row.id, status: row.status, attempt: row.attempt },
          })
          return 7
        },
      },
    },
  })
  const session = await life.troupe.start(only('worker'))
  await session.send('/top/one', { type: 'go' })
  await waitUntil('the work is done', () => session.snapshot('/top/one')?.value === 'idle')
  expect(session.snapshot('/top/one')?.context).toEqual({ result: 7 })
  const stored = { id: 'e1', status: 'started', attempt: 1 }
  expect(seen).toEqual([{ id: 'e1', key: 'RUN/e1', attempt: 1, path: '/top/one', input: { n: 1 }, stored }])
  expect(
    factsOf(life.store, session.id)
      .filter(({ type }) => type.startsWith('effect.'))
      .map(({ type }) => type),
  ).toEqual(['effect.owed', 'effect.started', 'effect.succeeded'])
})

const PROBE_FAILS = (): never => {
  throw new Error('no probe today')
}
const says = (verdict: Verdict<number>) => (): Verdict<number> => verdict

test.each<[string, RepeatPolicy, Handler['prove'], number, unknown, string | null]>([
  ['repeat', 'repeat', undefined, 2, { status: 'succeeded', output: 2, attempt: 2 }, 'repeat'],
  ['prove, found applied', 'prove', says({ verdict: 'applied', output: 9 }), 1, { status: 'succeeded', output: 9, attempt: 1 }, 'applied'],
  ['prove, found not applied', 'prove', says({ verdict: 'not_applied' }), 2, { status: 'succeeded', output: 2, attempt: 2 }, 'not_applied'],
  ['prove, not found out', 'prove', says({ verdict: 'unknown', evidence: 'fog' }), 1, { status: 'in_doubt', attempt: 1 }, 'in_doubt'],
  ['prove, with a probe that fails', 'prove', PROBE_FAILS, 1, { status: 'in_doubt', attempt: 1 }, 'in_doubt'],
  ['prove, without a probe', 'prove', undefined, 1, { status: 'in_doubt', attempt: 1 }, 'in_doubt'],
  ['ask', 'ask', undefined, 1, { status: 'in_doubt', attempt: 1 }, 'in_doubt'],
])('an effect whose process died is judged by its policy: %s', async (_, repeat, prove, performed, row, verdict) => {
  const folder = temporaryFolder()
  const machines = { worker: worker({ repeat }) }
  let begun = 0
  const first = openLife(folder, { machines, effects: { work: { perform: () => hang(begun++) } } })
  const session = await first.troupe.start(only('worker'))
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it has begun', () => begun === 1)
  await first.kill(session)
  const { troupe, store } = openLife(folder, {
    machines,
    effects: { work: { perform: ({ attempt }: Call) => Promise.resolve(begun++).then(() => attempt), prove } },
  })
  const again = await troupe.resume(session.id)
  expect(again.recovery?.effects).toEqual([
    {
      id: 'e1',
      kind: 'work.do',
      path: '/top/one',
      policy: repeat,
      verdict,
      evidence: expect.toSatisfy((text) => text === null || typeof text === 'string'),
      what: '',
    },
  ])
  await waitUntil(
    'it is settled',
    () => store.effects(session.id)[0]?.status !== 'started',
    () => store.effects(session.id),
  )
  expect({ begun, row: store.effects(session.id)[0] }).toEqual({ begun: performed, row: expect.objectContaining(row) })
})

test('a run that waits for nothing but an effect in doubt is suspended, and lists it; a resume repeats nothing', async () => {
  const folder = temporaryFolder()
  const machines = { worker: worker({ repeat: 'ask' }) }
  let begun = 0
  const effects = { work: { perform: () => hang(begun++) } }
  const first = openLife(folder, { machines, effects })
  const session = await first.troupe.start(only('worker'))
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it has begun', () => begun === 1)
  await first.kill(session)
  const { troupe, store } = openLife(folder, { machines, effects })
  const suspended = expect.objectContaining({
    status: 'suspended',
    reason: { code: 'E_EFFECT_IN_DOUBT', message: '1 effects in doubt: e1', effects: ['e1'] },
    inDoubt: [{ id: 'e1', kind: 'work.do', path: '/top/one', what: { n: 1 } }],
  })
  for (const life of ['second', 'third']) {
    const resumed = await troupe.resume(session.id)
    expect({ life, result: await resumed.done() }).toEqual({ life, result: suspended })
  }
  expect({ begun, owned: store.isOwned(session.id), row: store.run(session.id)?.status }).toEqual({
    begun: 1,
    owned: false,
    row: 'suspended',
  })
})

test('a token budget refuses before the call, counts failed attempts, and is not renewed by a resume', async () => {
  const folder = temporaryFolder()
  const clock = new VirtualClock()
  let called = 0
  const options = {
    machines: { worker: worker({ tokens: 60 }) },
    clock,
    effects: {
      work: {
        perform: ({ spent }: Call) => {
          called++
          spent({ inputTokens: 40, outputTokens: 10, costUsd: null })
          throw new Failure('E_NO', 'no')
        },
      },
    },
  }
  const first = openLife(folder, options)
  const session = await first.troupe.start(only('worker'), { budget: { tokensMax: 100 } })
  const result = async (run: typeof session): Promise<unknown> => {
    await run.send('/top/one', { type: 'go' })
    await clock.settled()
    const { result } = run.snapshot('/top/one')!.context as { result: unknown }
    return result
  }
  await clock.settled()
  expect([await result(session), await result(session), called]).toEqual(['E_NO', 'E_LIMIT_TOKENS', 1])
  expect(factsOf(first.store, session.id, 'limit.reached').map(({ data }) => data)).toEqual([
    { which: 'tokens', spent: 50, reserved: 0, worst: 60, limit: 100 },
  ])
  await session.stop()
  const again = await first.troupe.resume(session.id)
  await clock.settled()
  expect([await result(again), called]).toEqual(['E_LIMIT_TOKENS', 1])
  await again.stop()
  const raised = await first.troupe.resume(session.id, { budget: { tokensMax: 110 } })
  await clock.settled()
  expect([await result(raised), called]).toEqual(['E_NO', 2])
})
