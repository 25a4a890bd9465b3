/**
 * A stage for supervision: the real engine on a store in memory, in virtual time, with workers whose behaviour is a table.
 *
 *   /top ── client             asks for others, inside the tree, so that its answers outlive the process
 *      └─── team               what is tried out; temporary, so that its end is its end
 *
 *   lives on                              one process, many steps a commit
 *   killed between any two decisions      one step a commit; after each commit with a step in it the process dies without goodbye, and another one
 *                                         goes on from what was committed, at the same instant
 *
 * What must be the same in both is {@link Stage.facts}: the journal but for its steps and resumes, with the milliseconds of each entry.
 */
import type { Json } from '../../src/json.ts'
import { checkTree } from '../../src/machines/childspec.ts'
import type { ChildReply, ChildRequest, SupervisorSpec, TreeSpec } from '../../src/protocol.ts'
import type { EventData } from '../../src/runtime/cell.ts'
import type { Host, RunSession } from '../../src/runtime/engine.ts'
import { localEngine } from '../../src/runtime/engines/local.ts'
import type { Commit, Store } from '../../src/runtime/store.ts'
import { memoryStore, type SharedMemory, sharedMemory } from '../../src/runtime/stores/memory.ts'
import { type Fact, factsOf, Killed, VirtualClock } from '../harness.ts'
import { type Call, codeOf, type Workers } from './code.ts'
import { addressOf, comparable, type Entry, isBelow, linesOf, nameOf } from './trace.ts'

export const MODES = ['lives on', 'killed between any two decisions'] as const
export type Mode = (typeof MODES)[number]

const RUN = 'STAGE'
const CLIENT = '/top/client'
/** Entries that are no decision, and after which a process that is killed would only begin again where it was. */
const NO_STEP = /^(?:run|effect|retry|timer)\./
/** A team without its name, well formed or not. */
export type Team = Omit<SupervisorSpec, 'id'> | { readonly [key: string]: unknown }

/** What a test does to one process after another. */
interface Life {
  readonly store: Store
  readonly session: RunSession
}

class LifeClock extends VirtualClock {
  revive: () => Promise<boolean> = async () => false
  override async settled(): Promise<void> {
    do await super.settled()
    while (await this.revive())
  }
}

export class Stage {
  readonly clock = new LifeClock()
  readonly workers: Workers
  /** Effects that wait for their answers, which tests give when they like. */
  readonly calls: Call[] = []
  /** Processes that have died. */
  deaths = 0
  readonly #mode: Mode
  readonly #memory: SharedMemory = sharedMemory()
  readonly #host: Host
  readonly #began = this.clock.wallMs()
  #life: Life | null = null
  #isDead = false
  /** Ends the process that lives now. */
  #kill = (): void => {}
  #requests = 0

  private constructor(mode: Mode, workers: Workers) {
    this.#mode = mode
    this.workers = workers
    this.#host = codeOf(workers, this.calls)
    this.clock.revive = () => this.#revive()
  }

  /** Starts the tree. Resolves when it has come to rest. @throws {Defect} `E_TREE_INVALID`: nothing was started. */
  static async set(mode: Mode, team: Team, workers: Workers = {}, options: { readonly isChecked?: boolean } = {}): Promise<Stage> {
    const stage = new Stage(mode, workers)
    const spec = { restart: 'temporary', ...team, id: 'team' } as unknown as SupervisorSpec
    const tree: TreeSpec = { id: 'top', children: [{ id: 'client', src: 'client' }, spec] }
    if (options.isChecked !== false) checkTree(tree)
    await stage.#start(tree)
    return stage
  }

  /** Sends to an actor below the team, or to the team itself. */
  async send(id: string, event: { readonly type: string; readonly [key: string]: unknown }): Promise<this> {
    await this.#post(addressOf(id), event as EventData)
    return this.rest()
  }

  boom = (id: string): Promise<this> => this.send(id, { type: 'boom' })
  exit = (id: string, reason: unknown): Promise<this> => this.send(id, { type: 'exit', reason })
  finish = (id: string): Promise<this> => this.send(id, { type: 'finish' })
  /** Asks a supervisor to stop, as whoever is above it does. */
  stop = (id = 'team'): Promise<this> => this.send(id, { type: 'shutdown' })
  /** Stops `/top` by its own rules, and so the team by force where it is brutal. */
  async stopTop(): Promise<this> {
    await this.#post('/top', { type: 'shutdown' })
    return this.rest()
  }

  /** Has the client ask a supervisor. Returns the answer, or null while there is none: see {@link reply}. */
  async ask(
    request: ChildRequest | { readonly type: string; readonly [key: string]: unknown },
    supervisor = 'team',
  ): Promise<ChildReply | null> {
    const id = String(++this.#requests)
    await this.#post(CLIENT, { type: 'please', id, to: addressOf(supervisor), request: request as unknown as Json })
    await this.rest()
    return this.reply(Number(id))
  }

  /** The answer to the n-th request, from 1. */
  reply(n: number): ChildReply | null {
    const { replies } = this.#context(CLIENT) as { replies: Record<string, ChildReply> }
    return replies[n] ?? null
  }

  /** Requests so far. */
  get asked(): number {
    return this.#requests
  }

  async advance(ms: number): Promise<this> {
    await this.clock.advance(ms)
    return this
  }

  async rest(): Promise<this> {
    await this.clock.advance(0)
    return this
  }

  /** Living actors below the team with their lives, in order of address: `a#1`. */
  living(): string[] {
    const below = this.store.cells(RUN).filter(({ address, status }) => isBelow(address) && (status === 'active' || status === 'starting'))
    return below.map(({ address, incarnation }) => `${nameOf(address)}#${incarnation}`).sort()
  }

  isUp = (id = 'team'): boolean => this.store.cell(RUN, addressOf(id))?.status === 'active'

  heard(id: string): readonly Json[] {
    return (this.#context(addressOf(id)) as { heard: Json[] }).heard
  }

  /** What happened to lives, in order: `started a#1`, `crashed a#1`, `asked c#1` (to stop), `ended c#1 ordered`, `gave_up team a`. */
  lives(since = 0): string[] {
    return this.timed(since).map((line) => line.slice(line.indexOf(' ') + 1))
  }

  /** The same with milliseconds since the start before each. */
  timed(since = 0): string[] {
    return linesOf(this.entries().filter(({ pos }) => pos > since))
  }

  /** Where the journal stands: `lives(mark)` tells what happened from here on. */
  mark(): number {
    return this.store.run(RUN)?.position ?? 0
  }

  /** Facts of one type below the team. */
  factsOf(type: string): Fact[] {
    return factsOf(this.store, RUN, type)
  }

  /** Why an actor ended the last time that it did. */
  reasonOf(id = 'team'): Json | undefined {
    return this.factsOf('actor.stopped').findLast(({ path }) => path === addressOf(id))?.data['reason']
  }

  /** The process dies without goodbye while nothing is going on, and another one goes on after some time. */
  async die(downMs = 0): Promise<this> {
    this.#kill()
    this.clock.revive = async () => false
    await this.clock.advance(downMs)
    this.clock.revive = () => this.#revive()
    return this.rest()
  }

  /** How the children of a supervisor stand, in its own words. */
  async standing(supervisor = 'team'): Promise<Record<string, string>> {
    const reply = await this.ask({ type: 'child.list' }, supervisor)
    if (reply?.type !== 'child.list') throw new Error(`asked for a list, got ${JSON.stringify(reply)}`)
    return Object.fromEntries(reply.children.map(({ id, status }) => [id, status]))
  }

  /** How often a child was restarted, its bystanders not counted. */
  restartsOf(id: string): number {
    return this.factsOf('actor.restarted').filter(({ path, data }) => path === addressOf(id) && (data['group'] ?? id) === id).length
  }

  /** All that must be the same however often the process dies. */
  facts(): unknown[] {
    return comparable(this.entries())
  }

  entries(): Entry[] {
    return this.store
      .journal(RUN, 0, Number.POSITIVE_INFINITY)
      .map(({ hash: _, data, at, ...entry }) => ({ ...entry, at: at - this.#began, data: JSON.parse(data) }))
  }

  /** The run as it is stored. */
  run() {
    return this.store.run(RUN)
  }

  get store(): Store {
    if (this.#life === null) throw new Error('the stage has not been set')
    return this.#life.store
  }

  #context(address: string): Json {
    const snapshot = this.#life?.session.snapshot(address)
    if (snapshot == null) throw new Error(`nobody lives at ${address}; there are ${this.living().join(', ')}`)
    return snapshot.context
  }

  async #start(tree: TreeSpec): Promise<void> {
    const store = this.#open()
    // It dies more often than a process may: quarantine would hold it back, and has tests of its own.
    this.#life = { store, session: await this.#engine(store).start(tree, this.#host, { id: RUN, quarantine: false }) }
    await this.rest()
  }

  #engine(store: Store) {
    const turns = this.#mode === 'lives on' ? {} : { turnStepsMax: 1 }
    return localEngine({ store, clock: this.clock, limits: turns })
  }

  /** One process: where it is to die, it does so right after a commit has reached the store. */
  #open(): Store {
    const inner = memoryStore(this.#memory)
    let isDead = false
    const alive = (): void => {
      if (isDead) throw new Killed('this process is dead')
    }
    this.#kill = () => {
      isDead = true
      this.#isDead = true
    }
    const own: Store['own'] = (run, owner, how) => {
      const owned = inner.own(run, owner, how)
      const commit = (rows: Commit): void => {
        alive()
        owned.commit(rows)
        if (this.#mode === 'lives on' || rows.journal.every(({ type }) => NO_STEP.test(type))) return
        this.#kill()
        alive()
      }
      const check = (): void => {
        alive()
        owned.check()
      }
      return { run: owned.run, epoch: owned.epoch, commit, check, release: () => owned.release() }
    }
    return { ...inner, path: inner.path, own }
  }

  async #revive(): Promise<boolean> {
    if (!this.#isDead || this.#life === null) return false
    this.#isDead = false
    this.deaths++
    const store = this.#open()
    this.#life = { ...this.#life, store }
    if (store.run(RUN)?.status !== 'running') return false
    this.#life = { store, session: await this.#engine(store).resume(RUN, this.#host, { takeOver: true }) }
    return true
  }

  /** Sends, and does not wait until the tree is at rest. */
  post(id: string, event: { readonly type: string; readonly [key: string]: unknown }): Promise<void> {
    return this.#post(addressOf(id), event as EventData)
  }

  contextOf(id: string): Json {
    return this.#context(addressOf(id))
  }

  /** A process that dies has accepted the event with its last commit: nobody is told. */
  async #post(to: string, event: EventData): Promise<void> {
    const sent = this.#life!.session.send(to, event)
    const ended = sent.then(
      () => {},
      (error: unknown) => {
        if (!(error instanceof Killed)) throw error
      },
    )
    await Promise.all([ended, this.clock.settled()])
  }
}
