/** A run whose root is the pool of machines.ts: many actors under one supervisor, started one by one through the engine. */
import { SUPERVISOR_MACHINE } from '../../src/protocol.ts'
import type { Engine, Host, RunSession } from '../../src/runtime/engine.ts'
import { localEngine } from '../../src/runtime/engines/local.ts'
import { createRegistry } from '../../src/runtime/registry.ts'
import type { Store } from '../../src/runtime/store.ts'
import { counter, pool, worker } from './machines.ts'

export interface PoolEngine {
  /** An empty pool, at `/pool`. */
  start(src: 'worker' | 'counter'): Promise<RunSession>
  resume(run: string): Promise<RunSession>
  close(): void
}

export function poolEngine(store: Store): PoolEngine {
  const engine: Engine = localEngine({ store })
  const host: Host = createRegistry({ machines: { [SUPERVISOR_MACHINE]: pool, worker, counter } })
  return {
    start: (src) => engine.start({ id: 'pool', children: [] }, host, { input: { src } }),
    resume: (run) => engine.resume(run, host, {}),
    close: () => engine.close(),
  }
}

export const childId = (index: number): string => `c${index}`
export const childAddress = (index: number): string => `/pool/${childId(index)}`

/** Starts the children `from` to `to` (without it), all at once: the engine groups them into commits. */
export async function startChildren(session: RunSession, from: number, to: number): Promise<void> {
  const started: Promise<unknown>[] = []
  for (let index = from; index < to; index++) {
    started.push(session.send('/pool', { type: 'pool.start', id: childId(index) }))
    if (started.length === 1_024) await Promise.all(started.splice(0)) // More than the engine takes in at once is refused.
  }
  await Promise.all(started)
}
