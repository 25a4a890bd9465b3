/**
 * One life of the shop: opens the store, starts the run or goes on with it, sends the orders that it does not have, and waits for its end.
 *
 *   FOLDER/store     the database, its log, its locks: what is struck, damaged, and cut off from power
 *   FOLDER/world     what no fault touches: plates, the ledger of the effects, and `acknowledged`, one line per promise that was made
 *                      commit POSITION HASH    a commit has returned: the journal up to there is kept
 *                      order N                 a send has resolved: the till has it or will
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Json } from '../../src/json.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import type { Commit, Store } from '../../src/runtime/store.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { Ledger } from '../crash/ledger.ts'
import { makeShop, noteOf, ORDERS, tree } from './shop.ts'

export const storeOf = (folder: string): string => join(folder, 'store', 'troupe.db')
export const worldOf = (folder: string): string => join(folder, 'world')

/** What a person would be told, and where it came up. */
export interface Refusal {
  readonly at: 'open' | 'start' | 'resume' | 'run'
  readonly name: string
  readonly code: string
  readonly message: string
  readonly fix: string | null
  readonly details: { readonly [key: string]: Json } | null
}

export interface Outcome {
  readonly status: string | null
  readonly reason: Json
  readonly output: Json
  readonly refused: Refusal | null
}

export interface LifeOptions {
  readonly folder: string
  /** Stops the run in good order once so many orders were acknowledged by this life, and closes the store. */
  readonly stopAfter?: number | undefined
  readonly synchronous?: 'full' | 'normal' | undefined
  /** A bug, planted below the engine. */
  readonly plant?: ((store: Store) => Store) | undefined
}

/** Never throws: what goes wrong is told in {@link Outcome.refused}. */
export async function live({ folder, stopAfter, synchronous, plant = (store) => store }: LifeOptions): Promise<Outcome> {
  mkdirSync(worldOf(folder), { recursive: true })
  let at: Refusal['at'] = 'open'
  let store: Store | undefined
  try {
    store = bearingWitness(plant(sqliteStore({ path: storeOf(folder), ...(synchronous === undefined ? {} : { synchronous }) })), folder)
    const before = store.runs({})[0]
    if (before?.status === 'succeeded') return { status: before.status, reason: before.reason, output: before.output, refused: null }
    const troupe = makeShop({ store, world: worldOf(folder), ledger: new Ledger(join(worldOf(folder), 'ledger')) })
    at = before === undefined ? 'start' : 'resume'
    const session = before === undefined ? await troupe.start(tree, { quarantine: false }) : await troupe.resume(before.run)
    at = 'run'
    const driven = drive(session, folder, stopAfter)
    driven.catch(() => {}) // What ends the run is told by its end.
    const { status, reason, output } = await Promise.race([session.done(), driven.then(() => session.done())])
    return { status, reason: reason as Json, output, refused: null }
  } catch (error) {
    return { status: null, reason: null, output: null, refused: refusal(at, error) }
  } finally {
    store?.close()
  }
}

function refusal(at: Refusal['at'], error: unknown): Refusal {
  const { name, code, message, options, details } = error as Error & {
    code?: string
    options?: { fix?: string; details?: Refusal['details'] }
    details?: Refusal['details']
  }
  return { at, name, code: code ?? 'none', message, fix: options?.fix ?? null, details: options?.details ?? details ?? null }
}

/** Writes down each promise after it was made and before anybody hears of it. */
function bearingWitness(store: Store, folder: string): Store {
  const kept = ({ journal }: Pick<Commit, 'journal'>): void => {
    const last = journal.at(-1)
    if (last !== undefined) acknowledge(folder, `commit ${last.pos} ${last.hash}`)
  }
  return {
    ...store,
    createRun(row, first) {
      store.createRun(row, first)
      kept(first)
    },
    own(run, owner, options) {
      const owned = store.own(run, owner, options)
      return {
        run: owned.run,
        epoch: owned.epoch,
        commit(commit) {
          owned.commit(commit)
          kept(commit)
        },
        check: () => owned.check(),
        release: () => owned.release(),
      }
    },
  }
}

async function drive(session: RunSession, folder: string, stopAfter: number | undefined): Promise<void> {
  const { orders } = (await session.ask('/shop/till', { type: 'orders' })) as unknown as { orders: readonly number[] }
  const lost = acknowledged(folder).orders.filter((n) => !orders.includes(n))
  if (lost.length > 0) throw new Error(`acknowledged and lost: orders ${lost.join(', ')}`)
  let sent = 0
  for (let n = 1; n <= ORDERS; n++) {
    if (orders.includes(n)) continue
    await session.send('/shop/till', { type: 'order', n, note: noteOf(n) })
    acknowledge(folder, `order ${n}`)
    if (n === 2) await session.send('/shop/kitchen', { type: 'burn' })
    if (++sent === stopAfter) await session.stop()
  }
}

const acknowledge = (folder: string, line: string): void => appendFileSync(join(worldOf(folder), 'acknowledged'), `${line}\n`)

export interface Acknowledged {
  readonly commits: readonly { readonly position: number; readonly hash: string }[]
  readonly orders: readonly number[]
}

/** Every promise that was made so far. */
export function acknowledged(folder: string): Acknowledged {
  const file = join(worldOf(folder), 'acknowledged')
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
  const words = lines.map((line) => line.split(' '))
  return {
    commits: words.filter(([what]) => what === 'commit').map(([, position, hash]) => ({ position: Number(position), hash: hash! })),
    orders: words.filter(([what]) => what === 'order').map(([, n]) => Number(n)),
  }
}
