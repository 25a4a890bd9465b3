/**
 * The same machine under Troupe, on a real SQLite file and a virtual clock; killed and rehydrated between events where it is told to.
 *
 *   play -> quiet -> picture -> (killed? another life on the same file) -> play -> ...
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { AnyStateMachine } from 'xstate'
import { REF_KEY } from '../../src/json.ts'
import type { StepResult } from '../../src/runtime/cell.ts'
import type { CellView, RunSession } from '../../src/runtime/engine.ts'
import type { Image, Store } from '../../src/runtime/store.ts'
import { type Life, only, openLife, VirtualClock } from '../harness.ts'
import { ENERGY, ROOT } from './build.ts'
import { openFaulty } from './faulty.ts'
import type { Play } from './literal.ts'
import { type ActorPicture, byActor, historyOf, INPUT, type Picture } from './oracle.ts'

export interface Hosting {
  readonly folder: string
  readonly turnStepsMax: number
  /** Dies before the n-th play, from 0. */
  readonly diesBefore: (play: number) => boolean
  /** Faults that are planted: in what steps give, and in what is read at rehydration. */
  readonly step?: (result: StepResult) => StepResult
  readonly image?: (image: Image) => Image
}

/** @returns a picture after the start and after each play, as {@link underCreateActor} does. */
export async function underTroupe(machine: AnyStateMachine, trace: string[], plays: readonly Play[], options: Hosting): Promise<Picture[]> {
  const host = new Hosted(machine, trace, options)
  await host.start()
  const pictures = [host.picture()]
  for (const [index, play] of plays.entries()) {
    if (options.diesBefore(index)) await host.dieAndResume()
    if ('waitMs' in play) await host.wait(play.waitMs)
    else await host.send(play)
    pictures.push(host.picture())
  }
  await host.close()
  return pictures
}

/**
 * A folder for the stores of one test, in memory where the system has such a place: thousands of lives on it compare states, and wait for no disk.
 * That what was committed outlives a power cut is shown elsewhere.
 */
export function folderForLives(): string {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'troupe-lives-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

class Hosted {
  readonly #machine: AnyStateMachine
  readonly #trace: string[]
  readonly #options: Hosting
  #clock = new VirtualClock()
  #life: Life
  #session: RunSession | undefined
  #seen = 0
  /** Addresses, as of the last picture. */
  #alive: readonly string[] = []

  constructor(machine: AnyStateMachine, trace: string[], options: Hosting) {
    this.#machine = machine
    this.#trace = trace
    this.#options = options
    this.#life = this.#open()
  }

  async start(): Promise<void> {
    this.#session = await this.#life.troupe.start(only('root', { input: INPUT as never, restart: 'temporary' }))
    await this.#clock.advance(0) // What is due at once, too.
  }

  async send(play: Extract<Play, { send: unknown }>): Promise<void> {
    const to = this.#alive[play.to % Math.max(1, this.#alive.length)]
    if (to !== undefined) await this.#session!.send(to, { type: play.send, energy: ENERGY })
    await this.#clock.advance(0) // What is due at once, too.
  }

  async wait(ms: number): Promise<void> {
    await this.#clock.advance(ms)
  }

  /** Ended runs are not resumed: there is nothing of them to come back. */
  async dieAndResume(): Promise<void> {
    const session = this.#session!
    if (this.#alive.length === 0) return
    await this.#life.kill(session)
    this.#clock = new VirtualClock(this.#clock.wallMs())
    this.#life = this.#open()
    this.#session = await this.#life.troupe.resume(session.id)
    await this.#clock.advance(0) // What is due at once, too.
  }

  async close(): Promise<void> {
    await this.#session!.stop()
    this.#life.store.close()
  }

  picture(): Picture {
    const { store } = this.#life
    const { id } = this.#session!
    const facts = store
      .journal(id, this.#seen, 100_000)
      .map((entry) => ({ type: entry.type, path: entry.path, pos: entry.pos, data: JSON.parse(entry.data) }))
    this.#seen = facts.at(-1)?.pos ?? this.#seen
    const ends = facts.flatMap(({ type, path, data }) => (path?.startsWith(ROOT) === true ? endOf(type, path, data) : []))
    const told = facts.flatMap(({ type, path, data }) => (type === 'event.emitted' ? [`${path} ${data.event.type} ${data.event.n}`] : []))
    this.#alive = this.#live()
    const actors = Object.fromEntries(this.#alive.map((path) => [path, this.#actor(store, path)]))
    return { actors, ends: byActor(ends), told: ROOT in actors ? byActor(told) : [], trace: this.#trace.splice(0) }
  }

  #open(): Life {
    const { folder, turnStepsMax, step, image } = this.#options
    const options = { machines: { root: this.#machine }, clock: this.#clock, turnStepsMax }
    return step === undefined && image === undefined ? openLife(folder, options) : openFaulty(folder, { ...options, step, image })
  }

  #live(): string[] {
    const walk = (view: CellView): string[] => [...(view.status === 'active' ? [view.address] : []), ...view.children.flatMap(walk)]
    return walk(this.#session!.tree())
      .filter((path) => path.startsWith(ROOT))
      .sort()
  }

  #actor(store: Store, path: string): ActorPicture {
    const { value, context, incarnation } = this.#session!.snapshot(path)!
    const { historyValue } = JSON.parse(store.snapshot(this.#session!.id, path, incarnation)!.json)
    return { value, context: unreferenced(context), history: historyOf(historyValue) }
  }
}

interface FactData {
  readonly reason?: { readonly kind: string; readonly output?: unknown }
  readonly message?: string
}

function endOf(type: string, path: string, { reason, message }: FactData): string[] {
  if (type === 'actor.crashed') return [`${path} error ${message}`]
  return type === 'actor.stopped' && reason?.kind === 'normal' ? [`${path} done ${JSON.stringify(reason.output)}`] : []
}

/** References as addresses. */
function unreferenced(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (REF_KEY in value) return { ref: value[REF_KEY] }
  if (Array.isArray(value)) return value.map(unreferenced)
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, unreferenced(each)]))
}
