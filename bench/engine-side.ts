/**
 * The engine's side: a tree of counters with a context of about 1 KB, and sends from outside that wait for their acknowledgement.
 *
 *   send -> accepted -> transition -> snapshot, two journal entries -> commit (FULL) -> acknowledged
 *
 * One actor: one send after another, so one step a commit. Many actors: one send to each is always in flight, so the engine takes one of each into a commit.
 */
import { assign, createActor, setup } from 'xstate'
import { createTroupe } from '../src/actors/troupe.ts'
import type { TreeSpec } from '../src/protocol.ts'
import type { RunSession } from '../src/runtime/engine.ts'
import { sqliteStore } from '../src/runtime/stores/sqlite/store.ts'
import { meter, type Spent } from './meter.ts'
import { type Recording, recordingStore } from './recording-store.ts'

/** What a counter carries besides its count, so that its stored snapshot is about 1 KB. */
const PAYLOAD = 'The quick brown fox jumps over the lazy dog. '.repeat(22)

const counter = setup({
  types: { context: {} as { count: number; payload: string }, events: {} as { type: 'count'; by: number } },
}).createMachine({
  id: 'counter',
  context: { count: 0, payload: PAYLOAD },
  initial: 'even',
  states: {
    even: { on: { count: { target: 'odd', actions: assign({ count: ({ context, event }) => context.count + event.by }) } } },
    odd: { on: { count: { target: 'even', actions: assign({ count: ({ context, event }) => context.count + event.by }) } } },
  },
})

const event = { type: 'count', by: 1 } as const

export interface EngineRun {
  readonly spent: Spent
  /** Null where nothing was recorded. */
  readonly recorded: { readonly recording: Recording /** Commits before the first measured one. */; readonly setup: number } | null
}

export interface EngineRunOptions {
  /** A file that does not exist yet. */
  readonly path: string
  readonly actors: number
  /** A multiple of `actors`. */
  readonly steps: number
  readonly isRecorded?: boolean
  /** Called with everything committed and the file still open. */
  readonly committed?: (recording: Recording) => void
}

/** Starts a tree in a fresh store, takes `steps` measured steps, checks that each was taken once, and closes. */
export async function runEngine({ path, actors, steps, isRecorded = false, committed }: EngineRunOptions): Promise<EngineRun> {
  const plain = sqliteStore({ path })
  const { store, recording } = recordingStore(plain)
  const troupe = createTroupe({ store: isRecorded ? store : plain, machines: { counter } })
  const tree: TreeSpec = { id: 'bench', children: Array.from({ length: actors }, (_, index) => ({ id: `c${index}`, src: 'counter' })) }
  const session = await troupe.start(tree)
  const addresses = tree.children.map(({ id }) => `/bench/${id}`)
  await Promise.all(addresses.map((address) => session.send(address, event))) // Everybody is up when this is acknowledged.
  const setup = recording.commits.length
  const spent = await meter(() => drive(session, addresses, steps / actors))
  check(session, addresses, steps / actors + 1)
  committed?.(recording)
  await session.stop()
  troupe.close()
  return { spent, recorded: isRecorded ? { recording, setup } : null }
}

async function drive(session: RunSession, addresses: readonly string[], each: number): Promise<void> {
  await Promise.all(
    addresses.map(async (address) => {
      for (let sent = 0; sent < each; sent++) await session.send(address, event)
    }),
  )
}

function check(session: RunSession, addresses: readonly string[], count: number): void {
  for (const address of addresses) {
    const found = (session.snapshot(address)?.context as { count: number } | undefined)?.count
    if (found !== count) throw new Error(`${address} counted ${found} of ${count} events`)
  }
}

/** The same machine and events under XState's own actor: nothing is stored. */
export async function runPlain(steps: number): Promise<Spent> {
  const actor = createActor(counter).start()
  return meter(() => {
    for (let sent = 0; sent < steps; sent++) actor.send(event)
  })
}
