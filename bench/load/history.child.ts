/** A process that makes a run with a history through the engine, and is killed when everything is acknowledged. */
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { answer, die, question } from '../fresh.ts'
import { childAddress, poolEngine, startChildren } from './pool-run.ts'

export interface HistoryInput {
  readonly path: string
  readonly actors: number
  /** Steps of workers after their start. */
  readonly steps: number
}

const { path, actors, steps } = question<HistoryInput>()
const session = await poolEngine(sqliteStore({ path })).start('worker')
await startChildren(session, 0, actors)
for (let from = 0; from < steps; from += 1_024) {
  const sends = Array.from({ length: Math.min(1_024, steps - from) }, (_, index) => childAddress((from + index) % actors))
  await Promise.all(sends.map((address) => session.send(address, { type: 'work' })))
}
answer({ run: session.id })
die()
