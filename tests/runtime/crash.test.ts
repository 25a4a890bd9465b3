/**
 * What the crash of an actor does to everything that hangs on it, as a table by restart; and what kind of exit is followed by a restart at all.
 * Each case is also lived through with the process dying before every single commit after the crash began: nothing of the outcome may change.
 */
import { expect, test } from 'vitest'
import { assign, enqueueActions, setup } from 'xstate'
import { z } from 'zod'
import { effect } from '../../src/effect.ts'
import type { ChildSpec, SupervisorSpec, TreeSpec } from '../../src/protocol.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import type { Store } from '../../src/runtime/store.ts'
import { factsOf, Killed, type Life, openLife, temporaryFolder, VirtualClock } from '../harness.ts'
import { counter } from './counter.ts'

const hold = effect({ kind: 'hand.hold', input: z.undefined(), output: z.null(), repeat: 'repeat' })
const kid = setup({}).createMachine({ id: 'kid' })
const ask = (_: unknown, _params: { id: string; to: string; event: { type: string }; timeoutMs: number }): void => {}

/** Has one of everything that a crash could take: a timer, a delayed send, an effect, a child, an ask, and mail that waits behind the poison. */
const subject = setup({
  types: {
    context: {} as { notes: readonly string[] },
    events: {} as { type: 'note'; text: string } | { type: 'burst' | 'boom' | 'hear' },
  },
  actors: { hold, kid },
  actions: { ask },
}).createMachine({
  id: 'subject',
  context: { notes: [] },
  entry: enqueueActions(({ enqueue }) => {
    enqueue.spawnChild('kid' as never, { id: 'kid' } as never)
    enqueue.sendTo('kid' as never, { type: 'late' } as never, { delay: 20_000, id: 'late' })
    enqueue({ type: 'ask', params: { id: 'mine', to: '/top/peer', event: { type: 'mute' }, timeoutMs: 60_000 } } as never)
  }),
  initial: 'working',
  states: { working: { invoke: { src: 'hold', id: 'hold' }, after: { 10000: 'idle' } }, idle: {} },
  on: {
    note: { actions: assign({ notes: ({ context, event }) => [...context.notes, event.text] }) },
    hear: {},
    burst: {
      actions: enqueueActions(({ enqueue, self }) => {
        enqueue.sendTo(self, { type: 'boom' })
        for (const text of ['one', 'two']) enqueue.sendTo(self, { type: 'note', text })
      }),
    },
    boom: {
      actions: assign(() => {
        throw new Error('boom')
      }),
    },
  },
})

const peer = setup({
  types: {
    context: {} as { heard: readonly unknown[] },
    events: {} as { type: 'query' | 'mute' } | { type: 'ask.down' | 'ask.timed_out'; id: string },
  },
  actions: { ask },
}).createMachine({
  id: 'peer',
  context: { heard: [] },
  on: {
    query: { actions: { type: 'ask', params: { id: 'theirs', to: '/top/subject', event: { type: 'hear' }, timeoutMs: 90_000 } } },
    mute: {},
    'ask.*': { actions: assign({ heard: ({ context, event }) => [...context.heard, `${event.type} ${(event as { id?: string }).id}`] }) },
  },
})

interface Scenario {
  readonly tree: TreeSpec
  prepare(session: RunSession): Promise<unknown>
  readonly poison: { readonly to: string; readonly type: string }
  observe(session: RunSession, store: Store, run: string): unknown
}

const machines = { subject, peer, counter }
const effects = { hold: { perform: () => new Promise<never>(() => {}) } }

/** The outcome, once undisturbed and once for each commit before which the process dies. */
async function liveThrough({ tree, prepare, poison, observe }: Scenario): Promise<{ undisturbed: unknown; killed: unknown[] }> {
  const lives = async (dieAt: number | null): Promise<{ commits: number; outcome: unknown }> => {
    const folder = temporaryFolder()
    const clock = new VirtualClock()
    let commits = 0
    let isArmed = false
    const onCommit = (): void => {
      if (isArmed && ++commits === dieAt) throw new Killed('here')
    }
    let life: Life = openLife(folder, { machines, effects, clock, turnStepsMax: 1, onCommit })
    let session = await life.troupe.start(tree)
    await clock.advance(100)
    await prepare(session)
    await clock.settled()
    isArmed = true
    const { to, ...event } = poison
    const isAcknowledged = await session.send(to, event).then(
      () => true,
      () => false,
    )
    await clock.settled()
    if (dieAt !== null) {
      await life.kill()
      const later = new VirtualClock(clock.wallMs())
      life = openLife(folder, { machines, effects, clock: later, turnStepsMax: 1 })
      session = await life.troupe.resume(session.id)
      if (!isAcknowledged) await session.send(to, event)
      await later.settled()
    }
    return { commits, outcome: observe(session, life.store, session.id) }
  }
  const { commits, outcome } = await lives(null)
  const killed: unknown[] = []
  for (let at = 1; at <= commits; at++) killed.push((await lives(at)).outcome)
  return { undisturbed: outcome, killed }
}

function observeSubject(session: RunSession, store: Store, run: string): unknown {
  const image = store.image(run)
  const subjectNow = session.snapshot('/top/subject')
  return {
    subject: subjectNow === null ? null : { incarnation: subjectNow.incarnation, context: subjectNow.context },
    kid: store
      .cells(run)
      .filter(({ address }) => address === '/top/subject/kid')
      .map(({ parent }) => parent?.incarnation),
    timers: image.timers.map(({ owner, incarnation, id, dueAt }) => `${owner}#${incarnation} ${id.replace(/\d+$/, 'n')} ${dueAt}`).sort(),
    effects: store.effects(run).map(({ id, incarnation, status }) => `${id} #${incarnation} ${status}`),
    asks: image.asks.map(({ asker, to, id }) => `${asker?.address}#${asker?.incarnation} ${to} ${id}`).sort(),
    peer: session.snapshot('/top/peer')?.context,
    deadLetters: factsOf(store, run, 'actor.crashed').map(({ data }) => (data['deadLetter'] as { type: string }).type),
    buried: factsOf(store, run, 'message.buried').map(
      ({ data }) => `${data['event']} ${(data['cause'] as { error: { message: string } }).error.message}`,
    ),
  }
}

const treeOf = (child: Partial<ChildSpec>): TreeSpec => ({
  id: 'top',
  intensity: 3,
  children: [
    { id: 'peer', src: 'peer' },
    { id: 'subject', src: 'subject', ...child },
  ],
})

const KEPT_ASKS = ['/top/peer#1 /top/subject theirs', '/top/subject#1 /top/peer mine']
const TABLE = {
  checkpoint: {
    subject: { incarnation: 2, context: { notes: ['before', 'one', 'two'] } },
    kid: [1],
    timers: [
      '/top/peer#1 ask:n 90100',
      '/top/subject#1 ask:n 60000',
      '/top/subject#1 late 20000',
      '/top/subject#1 xstate.after.10000.subject.working 10000',
    ],
    effects: ['e1 #1 started'],
    asks: KEPT_ASKS,
    peer: { heard: [] },
    deadLetters: ['boom'],
    buried: [],
  },
  initial: {
    subject: { incarnation: 2, context: { notes: ['one', 'two'] } },
    kid: [2],
    timers: ['/top/subject#2 ask:n 60100', '/top/subject#2 late 20100', '/top/subject#2 xstate.after.10000.subject.working 10100'],
    effects: ['e1 #1 cancelled', 'e2 #2 started'],
    asks: ['/top/subject#2 /top/peer mine'],
    peer: { heard: ['ask.down theirs'] },
    deadLetters: ['boom'],
    buried: [],
  },
  gone: {
    subject: null,
    kid: [],
    timers: [],
    effects: ['e1 #1 cancelled'],
    asks: [],
    peer: { heard: ['ask.down theirs'] },
    deadLetters: ['boom'],
    buried: ['note boom', 'note boom'],
  },
}

test.each<[string, Partial<ChildSpec>, unknown]>([
  ['restart from the checkpoint', { from: 'checkpoint' }, TABLE.checkpoint],
  ['restart from the initial state', { from: 'initial' }, TABLE.initial],
  ['no restart', { restart: 'temporary' }, TABLE.gone],
])(
  '%s: what a crash does to mail, timers, effects, children and asks is in the table, also when the process dies meanwhile',
  { timeout: 60_000 },
  async (_, child, expected) => {
    const { undisturbed, killed } = await liveThrough({
      tree: treeOf(child),
      prepare: async (session) => {
        await session.send('/top/subject', { type: 'note', text: 'before' })
        await session.send('/top/peer', { type: 'query' })
      },
      poison: { to: '/top/subject', type: 'burst' },
      observe: observeSubject,
    })
    expect(undisturbed).toEqual(expected)
    expect(killed).toEqual(killed.map(() => expected))
    expect(killed.length).toBeGreaterThan(3)
  },
)

const gaveUp: SupervisorSpec = { id: 'one', intensity: 0, children: [{ id: 'inner', src: 'counter' }] }
const END = { to: '/top/one', type: 'end' }
const BOOM = { to: '/top/one', type: 'boom' }
const INNER = { to: '/top/one/inner', type: 'boom' }

test.each([
  ['permanent', 'ends normally', END, { incarnation: 2, status: 'active' }],
  ['permanent', 'crashes', BOOM, { incarnation: 2, status: 'active' }],
  ['permanent', 'gives up', INNER, { incarnation: 2, status: 'active' }],
  ['transient', 'ends normally', END, { incarnation: 1, status: 'done' }],
  ['transient', 'crashes', BOOM, { incarnation: 2, status: 'active' }],
  ['transient', 'gives up', INNER, { incarnation: 2, status: 'active' }],
  ['temporary', 'ends normally', END, null],
  ['temporary', 'crashes', BOOM, null],
  ['temporary', 'gives up', INNER, null],
] as const)(
  'a %s child that %s leaves %j, also when the process dies meanwhile',
  { timeout: 60_000 },
  async (restart, _, poison, expected) => {
    const child = poison === INNER ? { ...gaveUp, restart } : { id: 'one', src: 'counter', restart }
    const { undisturbed, killed } = await liveThrough({
      tree: { id: 'top', intensity: 3, children: [child, { id: 'other', src: 'counter' }] },
      prepare: async () => {},
      poison,
      observe: (session) => {
        const [one, ...others] = session.tree().children
        const here = one?.id === 'one' ? { incarnation: one.incarnation, status: one.status } : null
        return { one: here, other: (here === null ? one : others[0])?.incarnation }
      },
    })
    expect(undisturbed).toEqual({ one: expected, other: 1 })
    expect(killed).toEqual(killed.map(() => undisturbed))
    expect(killed.length).toBeGreaterThan(1)
  },
)
