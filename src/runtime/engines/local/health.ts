/**
 * A judge for each supervised actor that is not idle. It hears what a turn has changed, in the turn's commit, and what its effects report, at once.
 *
 *   turn --rows of its draft--> facts --> judge --on record?--> health.changed      next check --> vitals, outside of turns --intake--> judge
 *
 * An effect of a child that XState made counts for the supervised actor above it: that one is restarted.
 *
 * Invariants:
 * - An actor with nothing open, and no standing on record, has no judge: it costs nothing. What must outlive it is in its row (`judged`).
 * - Nothing is polled: each judge says when it is to be asked. After a crash silence begins anew, with the attempts that a resume starts.
 * - Before silence counts its processes are looked at.
 */
import type { Health, HealthFact, Held, ProcessVitals } from '../../../health.ts'
import type { Json } from '../../../json.ts'
import { type Address, isSupervisor } from '../../../protocol.ts'
import type { HealthJudge, Vitals } from '../../health.ts'
import type { AskRow, CellRow, EffectRow } from '../../store.ts'
import type { Draft } from './draft.ts'
import { closing, isJudged, type News, opening, openOf } from './health-facts.ts'
import { putOnRecord, type Watch } from './health-watch.ts'
import type { Intake } from './intake.ts'
import type { Cell, Tree } from './tree.ts'
import { endWedged } from './wedged.ts'

export interface JudgesOptions {
  readonly run: string
  readonly judge: HealthJudge | undefined
  readonly vitals: Vitals | undefined
  /** An actor's row as of the last commit. */
  committed(address: Address): CellRow | null
  /** What the next attempt of an effect waits for at its gate; null where it does not. */
  held(row: EffectRow): Held | null
  /** Brings an intake into the run. */
  take(intake: Intake): void
}

export class Judges {
  readonly #options: JudgesOptions
  readonly #watches = new Map<Address, Watch>()
  readonly #byEffect = new Map<string, Watch>()
  /** Those that are to be asked at some time. */
  readonly #timed = new Set<Watch>()
  /** Asks that were open when this process took the run over. */
  readonly #before: Map<Address, AskRow[]>
  #draft: Draft | null = null
  /** How much of the draft's journal is known. */
  #read = 0

  constructor(options: JudgesOptions, asks: Iterable<AskRow>) {
    this.#options = options
    this.#before = new Map()
    for (const ask of asks) {
      if (ask.asker !== null) this.#before.set(ask.asker.address, [...(this.#before.get(ask.asker.address) ?? []), ask])
    }
  }

  /** How many actors are judged. */
  get size(): number {
    return this.#watches.size
  }

  /** Run clock of the next check; infinity where none is asked for. */
  get dueAt(): number {
    let dueAt = Number.POSITIVE_INFINITY
    for (const { judged, looking } of this.#timed) if (!looking && judged.nextAt !== null) dueAt = Math.min(dueAt, judged.nextAt)
    return dueAt
  }

  /** How an actor stands; undefined where nothing is open. What its gates say is asked for now: it changes without a fact, so no verdict that is kept rests on it. */
  of(address: Address, now: number): Health | undefined {
    const watch = this.#watches.get(address)
    if (watch === undefined) return undefined
    let judged = watch.judged
    for (const row of watch.flights.values()) {
      const held = this.#options.held(row)
      if (held !== null) judged = this.#options.judge!.hear(judged, { type: 'effect.held', effect: row.id, held, now })
    }
    const { health } = judged
    return health.state === watch.judged.health.state ? { ...health, since: watch.judged.health.since } : health
  }

  /** Tells the judges what the turn has changed so far, and writes what goes on record. Called before its commit; again is no harm. */
  turn(tree: Tree): void {
    if (this.#options.judge === undefined) return
    const touched = new Set<Address>()
    const crashes = this.#lives(tree, touched)
    for (const { effect } of tree.draft.effects.values()) if (isJudged(effect)) this.#touch(tree, effect.owner, touched)
    for (const { asker } of tree.draft.asked) if (asker !== null) this.#touch(tree, asker.address, touched)
    for (const address of touched) this.#catchUp(tree, address, crashes.get(address) ?? [])
    for (const watch of this.#timed) {
      const isDue = watch.signs.size > 0 && (watch.judged.nextAt ?? Number.POSITIVE_INFINITY) <= tree.now
      if (isDue) {
        this.#hearSigns(watch)
        putOnRecord(tree, watch)
      }
    }
  }

  /** What an effect reports. Kept until the judge is asked, unless it changes how the actor stands. */
  progress(row: EffectRow, data: Json, now: number): void {
    const watch = this.#byEffect.get(row.id)
    if (watch === undefined) return
    const { loading = false, text, token } = (typeof data === 'object' && data !== null ? data : {}) as { readonly [key: string]: unknown }
    const isLoading = loading === true
    watch.signs.set(row.id, { at: now, loading: isLoading, words: text === undefined && token === undefined ? 'progress' : 'token' })
    const isNews = isLoading !== watch.loading.has(row.id) || watch.judged.health.state === 'suspect'
    if (isLoading) watch.loading.add(row.id)
    else watch.loading.delete(row.id)
    if (isNews) this.#options.take({ to: watch.address, apply: (tree) => this.#ask(tree, watch, []) })
  }

  /** Whose time has come is looked at, outside of any turn. */
  look(now: number): void {
    for (const watch of this.#timed) {
      const { nextAt, look } = watch.judged
      if (watch.looking || nextAt === null || nextAt > now) continue
      watch.looking = true
      void this.#vitals(look).then((processes) => {
        watch.looking = false
        this.#options.take({ to: watch.address, apply: (tree) => this.#ask(tree, watch, processes) })
      })
    }
  }

  async #vitals(effects: readonly string[]): Promise<(ProcessVitals & { effect: string })[]> {
    const { run, vitals } = this.#options
    if (vitals === undefined) return []
    const looks = effects.map(async (effect) => {
      try {
        return (await vitals(run, effect)).map((each) => ({ ...each, effect }))
      } catch {
        return [] // Nobody could look: then nothing is known of its processes.
      }
    })
    return (await Promise.all(looks)).flat()
  }

  /** Something has come in from outside of turns. What the turn has done to the actor by now comes first. */
  #ask(tree: Tree, watch: Watch, processes: readonly (ProcessVitals & { effect: string })[]): void {
    this.turn(tree)
    if (this.#watches.get(watch.address) !== watch) return
    this.#hearSigns(watch)
    if ((watch.judged.nextAt ?? Number.POSITIVE_INFINITY) <= tree.now) this.#hear(watch, tree.now, { type: 'looked', processes })
    putOnRecord(tree, watch)
    if (watch.judged.health.state === 'wedged') endWedged(tree, watch.address, watch.judged.health)
  }

  /** Lives that have ended or begun in this turn, in its order. */
  #lives(tree: Tree, touched: Set<Address>): Map<Address, News[]> {
    const crashes = new Map<Address, News[]>()
    if (this.#draft !== tree.draft) this.#read = 0
    this.#draft = tree.draft
    const { journal } = tree.draft
    for (; this.#read < journal.length; this.#read++) {
      const { type, path, data } = journal[this.#read]!
      if (path === null || (type !== 'actor.crashed' && type !== 'actor.restarted' && (this.#watches.size === 0 || !ENDS.has(type))))
        continue
      const unit = this.#touch(tree, path, touched)
      if (unit !== null && type === 'actor.crashed') {
        const { code } = JSON.parse(data) as { code: string }
        // A child that XState made has crashed: an error of the actor, and not its end.
        const crash: News = unit === path ? { type: 'actor.crashed', code } : { type: 'effect.failed', effect: path, kind: 'actor', code }
        crashes.set(unit, [...(crashes.get(unit) ?? []), crash])
      }
    }
    return crashes
  }

  /** The supervised actor that an address counts for, or null. */
  #touch(tree: Tree, address: Address, touched: Set<Address>): Address | null {
    // By its place: a child that has crashed may be gone by now.
    for (let at = address; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
      if (!this.#watches.has(at) && !tree.cells.get(at)?.row.supervised) continue
      touched.add(at)
      return at
    }
    return null
  }

  #catchUp(tree: Tree, address: Address, crashes: readonly News[]): void {
    const cell = tree.cells.get(address)
    if (cell === undefined || cell.row.health === false || isSupervisor(cell.row.machine)) {
      this.#drop(address)
      return
    }
    const watch = this.#watches.get(address) ?? this.#begin(tree, cell)
    this.#hearEffects(tree, watch, false)
    for (const crash of crashes) this.#hear(watch, tree.now, crash)
    const isNewLife = watch.incarnation !== cell.row.incarnation || crashes.some(({ type }) => type === 'actor.crashed')
    if (isNewLife && cell.row.status !== 'ended') this.#restart(tree, watch, cell.row)
    if (cell.row.status === 'ended') this.#hearEnd(tree, watch, cell.row)
    else this.#hearEffects(tree, watch, true)
    this.#hearAsks(tree, watch)
    putOnRecord(tree, watch)
    const { health, memory } = watch.judged
    const isIdle = watch.flights.size === 0 && watch.asks.size === 0 && (memory?.health ?? null) === null
    if (cell.row.status === 'ended' || (isIdle && health.state === 'healthy')) this.#drop(address)
  }

  #begin(tree: Tree, { row }: Cell): Watch {
    const { judge, committed } = this.#options
    const remembered = row.judged ?? committed(row.address)?.judged
    const judged = judge!.begin(row.health === false ? {} : (row.health ?? {}), remembered, tree.now)
    const sets = { flights: new Map(), asks: new Set<number>(), signs: new Map(), loading: new Set<string>() }
    const watch: Watch = { address: row.address, incarnation: row.incarnation, judged, shown: judged.health, ...sets, looking: false }
    this.#watches.set(row.address, watch)
    // What a life or a process before has left on record ends where nothing of it is true any more.
    this.#hear(watch, tree.now, { type: 'actor.restarted' })
    return watch
  }

  #drop(address: Address): void {
    const watch = this.#watches.get(address)
    if (watch === undefined) return
    for (const effect of watch.flights.keys()) this.#byEffect.delete(effect)
    this.#watches.delete(address)
    this.#timed.delete(watch)
  }

  #restart(tree: Tree, watch: Watch, { incarnation }: CellRow): void {
    for (const effect of watch.flights.keys()) this.#byEffect.delete(effect)
    for (const known of [watch.flights, watch.asks, watch.signs, watch.loading]) known.clear()
    watch.incarnation = incarnation
    this.#hear(watch, tree.now, { type: 'actor.restarted' })
  }

  #hearEnd(tree: Tree, watch: Watch, { exit }: CellRow): void {
    const { state } = watch.judged.health
    if (state === 'stopped' || state === 'wedged') return
    this.#hear(watch, tree.now, { type: 'actor.stopped', reason: (exit as { kind?: string } | null)?.kind ?? 'killed' })
  }

  /** @param isOpen  those that are open, or those that have ended. */
  #hearEffects(tree: Tree, watch: Watch, isOpen: boolean): void {
    for (const known of isOpen ? [] : [...watch.flights.values()]) {
      if (tree.effects.get(known.id) !== undefined) continue
      const row = tree.draft.effects.get(known.id)?.effect ?? { ...known, status: 'cancelled' as const }
      watch.flights.delete(row.id)
      watch.signs.delete(row.id)
      watch.loading.delete(row.id)
      this.#byEffect.delete(row.id)
      this.#settled.add(row)
      for (const fact of closing(row)) this.#hear(watch, tree.now, fact)
    }
    for (const row of isOpen ? openOf(tree, watch.address) : []) {
      const known = watch.flights.get(row.id)
      if (known?.status === row.status && known.attempt === row.attempt && known.nextAt === row.nextAt) continue
      watch.flights.set(row.id, row)
      this.#byEffect.set(row.id, watch)
      for (const fact of opening(row, known)) this.#hear(watch, tree.now, fact)
    }
    // An effect that was owed and has ended within this turn was never seen open.
    for (const { effect } of isOpen ? [] : tree.draft.effects.values()) {
      const isUnseen = effect.status === 'failed' && effect.attempt === 0 && isJudged(effect) && !this.#settled.has(effect)
      if (!isUnseen || this.#unitOf(tree, effect.owner) !== watch.address) continue
      this.#settled.add(effect)
      for (const fact of closing(effect)) this.#hear(watch, tree.now, fact)
    }
  }

  /** Rows of this turn that are told already. */
  readonly #settled = new WeakSet<EffectRow>()

  #unitOf(tree: Tree, address: Address): Address | null {
    return this.#touch(tree, address, new Set())
  }

  #hearAsks(tree: Tree, watch: Watch): void {
    for (const ask of watch.asks) {
      if (tree.asks.has(ask)) continue
      watch.asks.delete(ask)
      this.#hear(watch, tree.now, { type: 'ask.settled', ask })
    }
    const before = this.#before.get(watch.address) ?? []
    this.#before.delete(watch.address)
    for (const row of [...before, ...tree.draft.asked]) {
      if (watch.asks.has(row.ask) || !tree.asks.has(row.ask) || row.asker === null) continue
      if (this.#unitOf(tree, row.asker.address) !== watch.address) continue
      watch.asks.add(row.ask)
      const until = tree.timers.of(row.asker.address).find(({ timer }) => timer === row.timer)?.dueAt ?? null
      this.#hear(watch, tree.now, { type: 'ask.opened', ask: row.ask, to: row.to, until })
    }
  }

  #hearSigns(watch: Watch): void {
    for (const [effect, { at, ...sign }] of watch.signs) this.#hear(watch, at, { type: 'progress', effect, ...sign })
    watch.signs.clear()
  }

  #hear(watch: Watch, now: number, news: News): void {
    watch.judged = this.#options.judge!.hear(watch.judged, { now, ...news } as HealthFact)
    if (watch.judged.nextAt === null) this.#timed.delete(watch)
    else this.#timed.add(watch)
  }
}

/** Facts that may end what an actor waits for. */
const ENDS: ReadonlySet<string> = new Set(['ask.settled', 'actor.stopped'])
