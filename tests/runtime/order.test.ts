/**
 * The order of delivery. Promised: first in, first out per sender and receiver. Beyond that, `engines/local` handles exactly what `createActor` handles,
 * in the same sequence; the oracle here is the real one.
 */
import { type Arbitrary, array, assert, asyncProperty, constant, integer, property, record } from 'fast-check'
import { beforeEach, expect, test, vi } from 'vitest'
import { type AnyStateMachine, createActor } from 'xstate'
import { createTroupe } from '../../src/actors/troupe.ts'
import type { Envelope } from '../../src/runtime/cell.ts'
import { localEngine } from '../../src/runtime/engines/local.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { NEW_RUN, only, treeOf, VirtualClock } from '../harness.ts'
import { machineOf, outside, plans } from './random-tree.ts'

/** One message: to whom, and what its handling sends. */
interface Message {
  readonly to: number
  readonly sends: readonly Message[]
}
const ACTORS = 5
function messages(depth: number): Arbitrary<Message> {
  const sends: Arbitrary<Message[]> = depth === 0 ? constant([]) : array(messages(depth - 1), { maxLength: 4 })
  return record({ to: integer({ min: 0, max: ACTORS - 1 }), sends })
}
const addressOf = (actor: number): string => `/top/${actor}`

interface Delivery {
  readonly from: number | null
  readonly to: number
  /** Which one of its sender's messages to this receiver. */
  readonly nth: number
}

/** Numbers the messages per sender and receiver as they are sent. */
function numbering(): (from: number | null, to: number) => Delivery {
  const counts = new Map<string, number>()
  return (from, to) => {
    const nth = (counts.get(`${from} ${to}`) ?? 0) + 1
    counts.set(`${from} ${to}`, nth)
    return { from, to, nth }
  }
}

/** As `createActor` delivers: to an idle actor at once, to a busy one when it is done. */
function model(root: Message): Delivery[] {
  const delivered: Delivery[] = []
  const number = numbering()
  const mailboxes = Array.from({ length: ACTORS }, () => ({ busy: false, queue: [] as [Message, Delivery][] }))
  const send = (from: number | null, message: Message): void => {
    const mailbox = mailboxes[message.to]!
    mailbox.queue.push([message, number(from, message.to)])
    if (mailbox.busy) return
    mailbox.busy = true
    for (let next = mailbox.queue.shift(); next !== undefined; next = mailbox.queue.shift()) {
      delivered.push(next[1])
      for (const sent of next[0].sends) send(next[0].to, sent)
    }
    mailbox.busy = false
  }
  send(null, root)
  return delivered
}

/** By order keys. The tree is read again from its rows before each delivery whose number is in `cuts`, as after a crash. */
function keyed(root: Message, cuts: ReadonlySet<number>): Delivery[] {
  const delivered: Delivery[] = []
  const number = numbering()
  const rows = new Map<number, Envelope>()
  const sent = new Map<string, [Message, Delivery]>()
  let tree = treeOf({})
  const post = (current: Envelope | null, op: number, from: number | null, message: Message): void => {
    const id = String(sent.size)
    sent.set(id, [message, number(from, message.to)])
    const envelope = { kind: 'mail', to: addressOf(message.to), incarnation: null, from: null, event: { type: id } } as const
    tree.post(current, op, envelope, null)
  }
  const reread = (): void => {
    const { envelopesAdded, envelopesDone } = tree.commit(NEW_RUN.clock, NEW_RUN.counters) ?? { envelopesAdded: [], envelopesDone: [] }
    for (const { seq } of envelopesDone) rows.delete(seq)
    for (const { envelope } of envelopesAdded) rows.set(envelope.seq, envelope)
    const run = { ...NEW_RUN, counters: tree.counters }
    const envelopes = [...rows.values()].sort((a, b) => a.seq - b.seq)
    tree = treeOf({ run, envelopes })
  }
  post(null, 0, null, root)
  for (let envelope = tree.next(); envelope !== undefined; envelope = tree.next()) {
    const [message, delivery] = sent.get(envelope.event.type)!
    delivered.push(delivery)
    tree.done(envelope, 'consumed')
    for (const [op, next] of message.sends.entries()) post(envelope, op, message.to, next)
    if (cuts.has(delivered.length)) reread()
  }
  return delivered
}

const inOrder = (deliveries: readonly Delivery[]): boolean => {
  const last = new Map<string, number>()
  return deliveries.every(({ from, to, nth }) => {
    const pair = `${from} ${to}`
    const follows = nth === (last.get(pair) ?? 0) + 1
    last.set(pair, nth)
    return follows
  })
}

const NIGHTLY = process.env['TROUPE_NIGHTLY'] !== undefined

test('what one actor sends to another arrives in the order in which it was sent, wherever the process dies in between', () => {
  const cuts = array(integer({ min: 1, max: 60 }), { maxLength: 20 }).map((list) => new Set(list))
  assert(
    property(messages(6), cuts, (root, places) => {
      const delivered = keyed(root, places)
      expect({ delivered, inOrder: inOrder(delivered) }).toEqual({ delivered: model(root), inOrder: true })
    }),
    { numRuns: NIGHTLY ? 1_000 : 300 },
  )
})

type Events = readonly { readonly type: string; readonly fuel: number }[]
interface Seen {
  readonly trace: readonly string[]
  readonly status: string
  readonly value: unknown
}

// XState's development build warns of mail to stopped actors, which random trees send.
beforeEach(() => void vi.spyOn(console, 'warn').mockReturnValue())

const INPUT = { path: '/top/one', fuel: 3, nth: 0 }

function underCreateActor(make: (trace: string[]) => AnyStateMachine, events: Events): Seen {
  const trace: string[] = []
  const actor = createActor(make(trace), { input: INPUT, logger: () => {} })
  actor.subscribe({ error: (error) => trace.push(`error ${String(error)}`) })
  actor.start()
  for (const event of events) actor.send(event)
  const { status, value } = actor.getSnapshot() as { status: string; value: unknown }
  return { trace, status, value }
}

async function underTroupe(make: (trace: string[]) => AnyStateMachine, events: Events, turnStepsMax: number): Promise<Seen> {
  const trace: string[] = []
  const clock = new VirtualClock()
  const engine = localEngine({ store: sqliteStore({ path: ':memory:' }), clock, limits: { turnStepsMax } })
  const troupe = createTroupe({ engine, machines: { root: make(trace) }, reap: async () => [] })
  const session = await troupe.start(only('root', { input: INPUT }))
  await clock.settled()
  for (const event of events) {
    await session.send('/top/one', event).catch((error: { code: string }) => expect(error.code).toBe('E_RUN_STOPPED'))
    await clock.settled()
  }
  const { status, value } = session.snapshot('/top/one') ?? { status: 'done', value: 'done' }
  await session.stop()
  troupe.close()
  return { trace, status, value }
}

test.each([
  { turnStepsMax: 256, numRuns: NIGHTLY ? 6_000 : 120 },
  { turnStepsMax: 1, numRuns: NIGHTLY ? 1_000 : 80 },
])(
  'random trees of machines handle the same events in the same order as under createActor ($turnStepsMax steps a commit)',
  { timeout: 1_200_000 },
  async ({ turnStepsMax, numRuns }) => {
    let handled = 0
    await assert(
      asyncProperty(plans, outside, async (plan, events) => {
        const make = (trace: string[]): AnyStateMachine => machineOf(plan, trace)
        const oracle = underCreateActor(make, events)
        handled += oracle.trace.length
        expect(await underTroupe(make, events, turnStepsMax)).toEqual(oracle)
      }),
      { numRuns },
    )
    expect({ handledOnAverage: handled / numRuns > 8 }).toEqual({ handledOnAverage: true })
  },
)
