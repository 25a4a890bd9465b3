/**
 * The conformance suite of the store port: every case of store-cases.json is one test, run on every store. The cases come from the test kits of Pekko
 * (event journal, snapshot store, durable state), of LangGraph (checkpoints) and from experiments with power cuts, flipped bits and locks. Their words
 * are not ours; this is what each of them means here.
 *
 *   their word                    ours
 *   stream, persistence id        run
 *   event, sequence number        journal entry, position. Positions have no holes, so an upper bound is a limit: 2..5 is `since` 1, limit 4
 *   highest sequence number       `run(id).position`
 *   atomic batch                  one commit with several entries
 *   metadata                      at, cause, path, inc, type of an entry
 *   expected sequence, revision   `Commit.expectedPosition`
 *   idempotent append             a commit repeated from the same position is refused with `E_LEASE_LOST`, whose details name the position that is stored:
 *                                 whoever did not learn the outcome reads there whether it was his. Nothing is ever stored twice
 *   delete up to n                `prune(run, n + 1)`; the entry n stays as the anchor of the hash chain, in number and hash
 *   delete a stream, a thread     `remove(run)`
 *   global position               the position in a run: all its actors write one journal. Between runs nothing is ordered
 *   snapshot at n                 the version of an actor's snapshot that is born at position n; its time is that of its step
 *   delete one snapshot           is not to be had: history goes by its old end, or with its run. Whoever must do without one asks for the one before it
 *   overwrite a snapshot          is refused: a position is written once. A newer snapshot has a newer position
 *   checkpoint, checkpoint id     the state where a commit ends, its position: `image(run, at)`, `cells`, `cell`, `snapshot`
 *   parent of a checkpoint        the `cause` of an entry; and the hash chain, which names every entry's predecessor
 *   thread (LangGraph)            run
 *   scope, checkpoint namespace   address of an actor; none: the run itself (path null)
 *   pending writes                open envelopes and effects
 *   durable state, upsert         the row of a cell
 *   intent, done, in doubt        effect `owed`, `started`, `succeeded`, `failed`, `in_doubt`
 *   recover                       `own` and read, or `resume` of a run
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, onTestFinished, type TestContext, test } from 'vitest'
import type { Store } from '../../../../src/runtime/store.ts'
import { memoryStore, sharedMemory } from '../../../../src/runtime/stores/memory.ts'
import { sqliteStore } from '../../../../src/runtime/stores/sqlite/store.ts'
import { skip } from '../mount.ts'
import { folder } from '../samples.ts'

interface Case {
  readonly id: string
  readonly name: string
}
export const CASES: readonly Case[] = JSON.parse(readFileSync(new URL('./store-cases.json', import.meta.url), 'utf8')).cases

/** Where a store lives on between its openings: a file, or a memory. To each other two openings are what two processes are. */
export interface Place {
  readonly kind: 'sqlite' | 'memory'
  /** Its file; empty for a memory. */
  readonly path: string
  /** Closed when the test is over. */
  open(): Store
}

const PLACES: { readonly [kind in Place['kind']]: () => Place } = {
  sqlite: () => {
    const path = join(folder(), 'troupe.db')
    return { kind: 'sqlite', path, open: () => closing(sqliteStore({ path })) }
  },
  memory: () => {
    const memory = sharedMemory()
    return { kind: 'memory', path: '', open: () => closing(memoryStore(memory)) }
  },
}

function closing(store: Store): Store {
  onTestFinished(() => store.close())
  return store
}

export type Body = (place: Place, context: TestContext) => void | Promise<void>
/** A body for each store, or why a case is void for it. */
export type Bodies = { readonly [kind in Place['kind']]: Body | { readonly void: string } }

/** One case, on every store. @param promise  what holds, as the end of the title. */
export function conform(id: string, promise: string, body: Body | Bodies, timeoutMs?: number): void {
  const found = CASES.find((one) => one.id === id)
  if (found === undefined) throw new Error(`${id} is not in store-cases.json`)
  for (const kind of ['sqlite', 'memory'] as const) {
    const own = typeof body === 'function' ? body : body[kind]
    describe(`${kind} store`, () => {
      test(`${id} ${found.name}: ${promise}`, { timeout: timeoutMs ?? 30_000 }, async (context) => {
        if (typeof own !== 'function') skip(context, own.void)
        await own(PLACES[kind](), context)
      })
    })
  }
}
