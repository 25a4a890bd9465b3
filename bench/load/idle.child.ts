/** A fresh process with `--expose-gc`: parks actors, wakes each once, and says after each stage what the process holds. */
import { createActor } from 'xstate'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { answer, question } from '../fresh.ts'
import { worker } from './machines.ts'
import { childAddress, poolEngine, startChildren } from './pool-run.ts'

export interface IdleInput {
  /** A file that does not exist yet; null: plain actors under createActor instead. */
  readonly path: string | null
  /** How many are parked at each stage, rising. */
  readonly stages: readonly number[]
}

/** Bytes after a garbage collection, after each stage; the last is after each actor was woken once. */
export interface Held {
  /** Objects and buffers: the heap in use, and what hangs on it. */
  readonly heap: readonly number[]
  /** All of the process, SQLite's page cache included. */
  readonly resident: readonly number[]
}

const { path, stages } = question<IdleInput>()
const held: { heap: number[]; resident: number[] } = { heap: [], resident: [] }
if (path === null) plain()
else await parked(path)
answer(held satisfies Held)
process.exit(0)

async function parked(file: string): Promise<void> {
  const session = await poolEngine(sqliteStore({ path: file })).start('worker')
  let started = 0
  for (const stage of stages) {
    await startChildren(session, started, stage)
    started = stage
    await weigh()
  }
  for (let from = 0; from < started; from += 1_024) {
    const some = Array.from({ length: Math.min(1_024, started - from) }, (_, index) => childAddress(from + index))
    await Promise.all(some.map((address) => session.send(address, { type: 'work' })))
  }
  await weigh()
}

function plain(): void {
  const actors: unknown[] = []
  for (const stage of stages) {
    while (actors.length < stage) actors.push(createActor(worker).start())
    void weigh()
  }
}

/** Twice, with a round of the event loop between where there can be one: finalizers free what they hold in the second. */
async function weigh(): Promise<void> {
  globalThis.gc?.()
  if (path !== null) await new Promise(setImmediate)
  globalThis.gc?.()
  const { heapUsed, external, rss } = process.memoryUsage()
  held.heap.push(heapUsed + external)
  held.resident.push(rss)
}
