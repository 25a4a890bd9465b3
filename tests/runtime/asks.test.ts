/** Who asks gets exactly one answer: the answer, that nobody is there to give it, or that the time is up. From outside and between actors. */
import { expect, test } from 'vitest'
import { type AnyActorRef, assign, sendTo, setup } from 'xstate'
import type { TreeSpec } from '../../src/protocol.ts'
import { factsOf, openLife, temporaryFolder, VirtualClock, waitUntil } from '../harness.ts'

const replyTo = ({ event }: { event: { replyTo: AnyActorRef } }): AnyActorRef => event.replyTo

/** Answers at once, late, twice, never, or dies of the question. */
const oracle = setup({
  types: { events: {} as { type: 'at once' | 'late' | 'twice' | 'never' | 'fatal' | 'end'; replyTo: AnyActorRef } },
}).createMachine({
  id: 'oracle',
  initial: 'open',
  states: { open: {}, closed: { type: 'final' } },
  on: {
    'at once': { actions: sendTo(replyTo as never, { type: 'answer', n: 42 } as never) },
    late: { actions: sendTo(replyTo as never, { type: 'answer', n: 43 } as never, { delay: 500 }) },
    twice: {
      actions: [sendTo(replyTo as never, { type: 'answer', n: 1 } as never), sendTo(replyTo as never, { type: 'answer', n: 2 } as never)],
    },
    never: {},
    fatal: {
      actions: assign(() => {
        throw new Error('no such question')
      }),
    },
    end: '.closed',
  },
})

interface Heard {
  readonly type: string
  readonly id: string
  readonly [key: string]: unknown
}

const asker = setup({
  types: {
    context: {} as { heard: readonly Heard[] },
    events: {} as
      | { type: 'go'; to: string; question: string; id: string }
      | { type: 'boom' }
      | { type: 'ask.answered' | 'ask.down' | 'ask.timed_out'; id: string },
  },
  actions: { ask: (_, _params: { id: string; to: string; event: { type: string }; timeoutMs: number }) => {} },
}).createMachine({
  id: 'asker',
  context: { heard: [] },
  on: {
    go: {
      actions: { type: 'ask', params: ({ event }) => ({ id: event.id, to: event.to, event: { type: event.question }, timeoutMs: 1_000 }) },
    },
    boom: {
      actions: assign(() => {
        throw new Error('boom')
      }),
    },
    'ask.*': { actions: assign({ heard: ({ context, event }) => [...context.heard, event as Heard] }) },
  },
})

const tree = (from: 'checkpoint' | 'initial'): TreeSpec => ({
  id: 'top',
  intensity: 5,
  children: [
    { id: 'oracle', src: 'oracle', from, restart: 'transient' },
    { id: 'asker', src: 'asker', from },
  ],
})
const machines = { oracle, asker }

test.each([
  ['at once', 0, { type: 'answer', n: 42 }],
  ['late', 500, { type: 'answer', n: 43 }],
  ['twice', 0, { type: 'answer', n: 1 }],
  ['never', 1_000, 'E_ASK_TIMED_OUT'],
  ['fatal', 0, 'E_ASK_DOWN'],
  ['end', 0, 'E_ASK_DOWN'],
])('a caller outside who asks for an answer `%s` has it after %i ms', async (question, afterMs, expected) => {
  const clock = new VirtualClock()
  const { troupe, store } = openLife(temporaryFolder(), { machines, clock })
  const session = await troupe.start(tree('initial'))
  await clock.settled()
  const settled: unknown[] = []
  session.ask('/top/oracle', { type: question }, { timeoutMs: 1_000 }).then(
    (answer) => settled.push(answer),
    (error: { code: string }) => settled.push(error.code),
  )
  await clock.advance(Math.max(0, afterMs - 1))
  expect(settled).toEqual(afterMs === 0 ? [expected] : [])
  await clock.advance(5_000)
  expect(settled).toEqual([expected])
  expect(store.image(session.id).asks).toEqual([])
})

test.each<[string, number, Omit<Heard, 'id'>]>([
  ['at once', 0, { type: 'ask.answered', answer: { type: 'answer', n: 42 } }],
  ['late', 500, { type: 'ask.answered', answer: { type: 'answer', n: 43 } }],
  ['twice', 0, { type: 'ask.answered', answer: { type: 'answer', n: 1 } }],
  ['never', 1_000, { type: 'ask.timed_out', to: '/top/oracle', status: 'timed_out', partial: null }],
  ['fatal', 0, { type: 'ask.down', to: '/top/oracle', incarnation: 1, reason: expect.objectContaining({ kind: 'error' }) }],
  ['end', 0, { type: 'ask.down', to: '/top/oracle', incarnation: 1, reason: { kind: 'normal' } }],
])('an actor that asks another for an answer `%s` hears of it once, after %i ms', async (question, afterMs, expected) => {
  const clock = new VirtualClock()
  const { troupe } = openLife(temporaryFolder(), { machines, clock })
  const session = await troupe.start(tree('initial'))
  const heard = (): unknown => session.snapshot('/top/asker')?.context
  await clock.settled()
  await session.send('/top/asker', { type: 'go', id: 'q1', to: '/top/oracle', question })
  await clock.advance(Math.max(0, afterMs - 1))
  expect(heard()).toEqual({ heard: afterMs === 0 ? [{ ...expected, id: 'q1' }] : [] })
  await clock.advance(5_000)
  expect(heard()).toEqual({ heard: [{ ...expected, id: 'q1' }] })
})

test('an actor that asks where nobody lives is told so at once', async () => {
  const clock = new VirtualClock()
  const { troupe } = openLife(temporaryFolder(), { machines, clock })
  const session = await troupe.start(tree('initial'))
  await clock.settled()
  await session.send('/top/asker', { type: 'go', id: 'q1', to: '/top/nobody', question: 'never' })
  await clock.settled()
  const heard = [{ type: 'ask.down', id: 'q1', to: '/top/nobody', incarnation: 0, reason: { kind: 'killed' } }]
  expect(session.snapshot('/top/asker')?.context).toEqual({ heard })
})

test.each(['checkpoint', 'initial'] as const)(
  'a question that kills the asked is a dead letter, and who asked it is told (restart from %s)',
  async (from) => {
    const clock = new VirtualClock()
    const { troupe, store } = openLife(temporaryFolder(), { machines, clock })
    const session = await troupe.start(tree(from))
    await clock.settled()
    await session.send('/top/asker', { type: 'go', id: 'q1', to: '/top/oracle', question: 'fatal' })
    await clock.advance(2_000)
    const reason = expect.objectContaining({ kind: 'error', error: expect.objectContaining({ message: 'no such question' }) })
    expect(session.snapshot('/top/asker')?.context).toEqual({
      heard: [{ type: 'ask.down', id: 'q1', to: '/top/oracle', incarnation: 1, reason }],
    })
    expect(
      factsOf(store, session.id, 'actor.crashed').map(({ path, data }) => ({
        path,
        letter: (data['deadLetter'] as { type: string }).type,
      })),
    ).toEqual([{ path: '/top/oracle', letter: 'fatal' }])
  },
)

test('an ask between actors survives the death of the process: a late answer still comes, and a deadline still holds', async () => {
  const folder = temporaryFolder()
  const clock = new VirtualClock()
  const life = openLife(folder, { machines, clock, turnStepsMax: 1 })
  const session = await life.troupe.start(tree('checkpoint'))
  await clock.settled()
  await session.send('/top/asker', { type: 'go', id: 'q1', to: '/top/oracle', question: 'late' })
  await session.send('/top/asker', { type: 'go', id: 'q2', to: '/top/oracle', question: 'never' })
  await clock.advance(400)
  await life.kill(session)
  const later = new VirtualClock(clock.wallMs())
  const again = await openLife(folder, { machines, clock: later, turnStepsMax: 1 }).troupe.resume(session.id)
  const heard = (): unknown => again.snapshot('/top/asker')?.context
  await later.advance(99)
  expect(heard()).toEqual({ heard: [] })
  await later.advance(1)
  const answered = { type: 'ask.answered', id: 'q1', answer: { type: 'answer', n: 43 } }
  expect(heard()).toEqual({ heard: [answered] })
  await later.advance(500)
  expect(heard()).toEqual({ heard: [answered, { type: 'ask.timed_out', id: 'q2', to: '/top/oracle', status: 'timed_out', partial: null }] })
})

test('a caller is told when the commit that holds its answer fails', async () => {
  const clock = new VirtualClock()
  let isBroken = false
  const onCommit = (): void => {
    if (isBroken) throw new Error('the disk is gone')
  }
  const session = await openLife(temporaryFolder(), { machines, clock, onCommit }).troupe.start(tree('checkpoint'))
  await clock.settled()
  const outcome = session.ask('/top/oracle', { type: 'late' }, { timeoutMs: 60_000 }).then(
    () => 'answered',
    (error: Error) => error.message,
  )
  await clock.settled()
  isBroken = true
  await clock.advance(500)
  let settled = 'nothing'
  void outcome.then((what) => {
    settled = what
  })
  await waitUntil('the caller hears of it', () => settled !== 'nothing', undefined, 2_000)
  expect(settled).toBe('the disk is gone')
})
