/** A tree of counters with a context of about 1 KB: what most measurements drive. */
import { createActor } from 'xstate'
import { createTroupe, type Troupe } from '../../src/actors/troupe.ts'
import type { TreeSpec } from '../../src/protocol.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import type { Store } from '../../src/runtime/store.ts'
import { meter, type Spent } from '../meter.ts'
import { COUNT, counter } from './machines.ts'
import { poolEngine, startChildren } from './pool-run.ts'

/** More than a supervisor with specs of its own may have. */
const POOLED_FROM = 200

export interface Counters {
  readonly session: RunSession
  readonly addresses: readonly string[]
  /** Ends the run in this process, and closes the store. */
  stop(): Promise<void>
}

/** Starts them; all are up, and have counted once, when it resolves. */
export async function startCounters(store: Store, actors: number): Promise<Counters> {
  const counters = actors > POOLED_FROM ? await pooled(store, actors) : await supervised(store, actors)
  await Promise.all(counters.addresses.map((address) => counters.session.send(address, COUNT)))
  return counters
}

async function supervised(store: Store, actors: number): Promise<Counters> {
  const troupe: Troupe = createTroupe({ store, machines: { counter } })
  const tree: TreeSpec = { id: 'bench', children: Array.from({ length: actors }, (_, index) => ({ id: `c${index}`, src: 'counter' })) }
  const session = await troupe.start(tree)
  return { session, addresses: tree.children.map(({ id }) => `/bench/${id}`), stop: () => closed(session, troupe) }
}

async function pooled(store: Store, actors: number): Promise<Counters> {
  const engine = poolEngine(store)
  const session = await engine.start('counter')
  await startChildren(session, 0, actors)
  return { session, addresses: Array.from({ length: actors }, (_, index) => `/pool/c${index}`), stop: () => closed(session, engine) }
}

async function closed(session: RunSession, door: { close(): void }): Promise<void> {
  await session.stop()
  door.close()
}

/** Each actor is sent `each` events, one after another; so one send to each is always in flight. */
export async function drive({ session, addresses }: Counters, each: number): Promise<void> {
  await Promise.all(
    addresses.map(async (address) => {
      for (let sent = 0; sent < each; sent++) await session.send(address, COUNT)
    }),
  )
}

/** Throws unless each has counted every event, once. */
export function checkCounted({ session, addresses }: Counters, count: number): void {
  for (const address of addresses) {
    const found = (session.snapshot(address)?.context as { count: number } | undefined)?.count
    if (found !== count) throw new Error(`${address} counted ${found} of ${count} events`)
  }
}

/** The same machines and events under XState's own actors: nothing is stored. */
export async function runPlain({ actors, steps }: { actors: number; steps: number }): Promise<Spent> {
  const all = Array.from({ length: actors }, () => createActor(counter).start())
  return meter(() => {
    for (let sent = 0; sent < steps; sent++) all[sent % actors]!.send(COUNT)
  })
}
