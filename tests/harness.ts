/**
 * What the tests of the runtime stand on: temporary folders, a troupe on a real SQLite file, a process that "dies" on command, a clock that is told
 * what time it is, and waiting that says what it saw when it gives up.
 *
 *   openLife(folder, options) --start | resume--> session --kill()--> openLife(folder, options) --resume--> ...
 *
 * A killed life commits nothing more and releases its lock, as a dead process does; what it held in memory is of no use to anybody.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextRound, setTimeout as pause } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { createTroupe, type Troupe, type TroupeOptions } from '../src/actors/troupe.ts'
import type { Json } from '../src/json.ts'
import type { ChildSpec, TreeSpec } from '../src/protocol.ts'
import type { Clock } from '../src/runtime/clock.ts'
import type { Host, RunSession } from '../src/runtime/engine.ts'
import { Tree } from '../src/runtime/engines/local/tree.ts'
import { localEngine } from '../src/runtime/engines/local.ts'
import type { Machines } from '../src/runtime/registry.ts'
import type { CellRow, Commit, Image, RunRow, Store } from '../src/runtime/store.ts'
import { sqliteStore } from '../src/runtime/stores/sqlite/store.ts'

/** A folder that is gone when the test is over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Polls until it holds. @param seen  what is there instead, for the message when it gives up after `timeoutMs`. */
export async function waitUntil(what: string, holds: () => boolean, seen: () => unknown = () => '', timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain until ${what}; saw: ${JSON.stringify(seen())}`)
    await pause(2)
  }
}

/** Time stands still until it is told to go on; then timers fire in their order, each at its own instant. */
export class VirtualClock implements Clock {
  #wall: number
  #monotonic = 0
  #deferred = 0
  readonly #timers = new Set<{ readonly at: number; readonly callback: () => void }>()

  constructor(wallMs = 1_700_000_000_000) {
    this.#wall = wallMs
  }
  wallMs(): number {
    return this.#wall
  }
  monotonicMs(): number {
    return this.#monotonic
  }
  random(): number {
    return 0
  }
  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#monotonic + delayMs, callback }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }
  defer(callback: () => void): void {
    this.#deferred++
    setImmediate(() => {
      this.#deferred--
      callback()
    })
  }
  /** Moves the wall clock alone, as a person or a time server does. */
  jumpWall(byMs: number): void {
    this.#wall += byMs
  }
  async advance(byMs: number): Promise<void> {
    const target = this.#monotonic + byMs
    for (;;) {
      await this.settled()
      const next = [...this.#timers].filter((timer) => timer.at <= target).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#timers.delete(next)
      this.#goTo(Math.max(next.at, this.#monotonic))
      next.callback()
    }
    this.#goTo(target)
    await this.settled()
  }
  /** When nothing that was deferred is left, and nothing that it promised either. */
  async settled(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet = this.#deferred === 0 ? quiet + 1 : 0) await nextRound()
  }
  #goTo(monotonicMs: number): void {
    this.#wall += monotonicMs - this.#monotonic
    this.#monotonic = monotonicMs
  }
}

/** What a dead process says. */
export class Killed extends Error {
  override readonly name = 'Killed'
}

export interface LifeOptions<M extends Machines> {
  readonly machines: M
  readonly effects?: TroupeOptions<M>['effects']
  readonly migrations?: TroupeOptions<M>['migrations']
  readonly clock?: Clock
  /** Default: `troupe.db` in the folder. */
  readonly store?: Store
  readonly turnStepsMax?: number
  /** Crashes count, as they do outside of tests. Default false: a test kills a run as often as it likes. */
  readonly quarantine?: boolean
  /** Looks at each commit before it is written; what it throws is a commit that failed. */
  readonly onCommit?: (commit: Commit) => void
}

/** One process, as far as a run can tell. */
export interface Life {
  readonly store: Store
  readonly troupe: Troupe
  /** Dies between two instructions: nothing more is committed, the lock is free. */
  kill(session?: RunSession): Promise<void>
}

/** Opens the store `troupe.db` in the folder, with a troupe on it; closed when the test is over. */
export function openLife<const M extends Machines>(folder: string, options: LifeOptions<M>): Life {
  const inner = options.store ?? sqliteStore({ path: join(folder, 'troupe.db') })
  let dead = false
  const alive = (): void => {
    if (dead) throw new Killed('this process is dead')
  }
  const store: Store = {
    ...inner,
    own: (run, owner, how) => {
      const owned = inner.own(run, owner, how)
      const commit = (rows: Commit): void => {
        alive()
        options.onCommit?.(rows)
        owned.commit(rows)
      }
      const check = (): void => {
        alive()
        owned.check()
      }
      return { run: owned.run, epoch: owned.epoch, commit, check, release: () => owned.release() }
    },
  }
  const { machines, migrations, clock, turnStepsMax } = options
  const engine = localEngine({
    store,
    ...(clock === undefined ? {} : { clock }),
    limits: turnStepsMax === undefined ? {} : { turnStepsMax },
  })
  const effects = options.effects === undefined ? {} : { effects: options.effects }
  const troupe = createTroupe<M>({
    engine,
    machines,
    ...effects,
    ...(migrations === undefined ? {} : { migrations }),
    reap: async () => [],
  })
  onTestFinished(() => inner.close())
  const kill = async (session?: RunSession): Promise<void> => {
    dead = true
    // Something to commit, so that it finds out, and no timer or effect of it comes back to life.
    await session?.send(session.tree().address, { type: 'last.breath' }).catch(() => {})
    inner.close()
  }
  const immortal: Troupe = { ...troupe, start: (tree, start) => troupe.start(tree, { quarantine: false, ...start }) }
  return { store, troupe: options.quarantine === true ? troupe : immortal, kill }
}

/** A supervisor `/top` over `/top/one`, which ends the run when it ends. */
export function only(src: string, child: Partial<ChildSpec> = {}): TreeSpec {
  const one: ChildSpec = { id: 'one', src, restart: 'transient', significant: true, from: 'checkpoint', ...child }
  return { id: 'top', autoShutdown: 'any_significant', intensity: 3, periodMs: 60_000, children: [one] }
}

export interface Fact {
  readonly pos: number
  readonly type: string
  readonly path: string | null
  readonly inc: number | null
  readonly cause: number | null
  readonly data: { readonly [key: string]: Json }
}

/** The whole journal of a run, or the facts of these types. */
export function factsOf(store: Store, run: string, ...types: readonly string[]): Fact[] {
  return store
    .journal(run, 0, Number.POSITIVE_INFINITY)
    .filter((entry) => types.length === 0 || types.includes(entry.type))
    .map(({ at: _, hash: __, data, ...entry }) => ({ ...entry, data: JSON.parse(data) }))
}

/** The code of what a promise rejects with, or of what a function throws; `none` where nothing is thrown. */
export async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === 'function' ? work() : work)
    return 'none'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

/** A run's row as it is before its first commit. */
export const NEW_RUN: RunRow = {
  run: 'r',
  name: null,
  project: null,
  status: 'running',
  reason: null,
  tree: null,
  input: null,
  limits: { tokensMax: null, deadlineAt: null },
  meta: null,
  output: null,
  createdAt: 0,
  endedAt: null,
  epoch: 1,
  owner: null,
  position: 0,
  hash: '',
  clock: { runMs: 0, wallMs: 0 },
  counters: { seq: 0, effects: 0, timers: 0 },
}

/** A tree in memory with these rows, as if a store had just given them; nothing else is in that store. */
export function treeOf(rows: Partial<Image> & { readonly cells?: readonly CellRow[] }): Tree {
  const { cells = [], ...image } = rows
  const cell = (_: string, address: string): CellRow | null => cells.find((row) => row.address === address) ?? null
  const store = { cell, children: () => [], cells: () => cells, snapshot: () => null } as unknown as Store
  return new Tree({ run: NEW_RUN, systemIds: {}, envelopes: [], timers: [], effects: [], asks: [], ...image }, {} as Host, store)
}
