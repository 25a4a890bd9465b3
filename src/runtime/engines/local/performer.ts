/**
 * Performs effects: after their start is committed, outside every step and turn. What comes of it goes back into the run as an intake of its own.
 * Nothing here is durable; a crash leaves rows that say `started`, which recovery judges by their policy.
 */
import { type EffectCall, Failure, NOTED_FACTS, type Usage } from '../../../effect.ts'
import { Defect, type ErrorData, errorData } from '../../../errors.ts'
import { assertJson, type Json } from '../../../json.ts'
import { ABORT_GRACE_MS, EFFECTS_IN_FLIGHT_MAX, PAYLOAD_BYTES_MAX } from '../../../limits.ts'
import type { Clock } from '../../clock.ts'
import type { Host } from '../../engine.ts'
import type { EffectRow } from '../../store.ts'
import { classify } from '../../transient.ts'
import type { Admissions } from './admissions.ts'
import { AttemptDeadlines } from './attempt-deadlines.ts'
import type { VolatileOrder } from './tree.ts'
import type { Volatiles } from './volatile.ts'

/** A fact that a handler has noted, for the commit of its outcome. */
interface Note {
  readonly type: string
  readonly data: { readonly [key: string]: Json | undefined }
}

export type Outcome =
  | { readonly ok: true; readonly output: Json | undefined; readonly usage: Usage | null; readonly notes?: readonly Note[] }
  | {
      readonly ok: false
      readonly notes?: readonly Note[]
      readonly error: ErrorData
      readonly failure: Pick<Failure, 'retry' | 'retryAfterMs'>
      /** The run stopped under it: what had happened by then is not known. */
      readonly aborted?: boolean
      /** It was aborted and has not said what it had used, or is still at work: nobody knows. */
      readonly silent?: boolean
      readonly usage: Usage | null
    }

export interface PerformerOptions {
  readonly run: string
  readonly host: Host
  readonly clock: Clock
  /** Run clock, milliseconds. */
  now(): number
  thread(name: string): readonly Json[]
  progress(row: EffectRow, data: Json): void
  settled(row: EffectRow, outcome: Outcome): void
  /** Another effect may start now. */
  room(): void
  readonly volatiles: Volatiles
  /** Who was let in gives its place back when it has landed. */
  readonly admissions: Admissions
}

interface Flight {
  readonly row: EffectRow
  readonly controller: AbortController
  readonly ended: Promise<void>
  /** Aborted long ago and still at work: its handler does not listen. It takes no room from others. */
  deaf: boolean
  /** Timers that must not outlive it. */
  readonly timers: Set<() => void>
}

export class Performer {
  readonly #options: PerformerOptions
  readonly #flights = new Map<string, Flight>()
  #stopped = false

  constructor(options: PerformerOptions) {
    this.#options = options
  }

  get inFlight(): number {
    return this.#flights.size
  }

  isInFlight(row: EffectRow): boolean {
    return this.#flights.has(`${row.id}#${row.attempt}`)
  }

  /** May another effect of this kind start now? */
  hasRoom(row: EffectRow, starting: readonly EffectRow[]): boolean {
    const flying = [...this.#flights.values()].filter((flight) => !flight.deaf)
    if (flying.length + starting.length >= EFFECTS_IN_FLIGHT_MAX) return false
    const max = row.kind === 'action' || row.kind === 'promise' ? undefined : this.#handlerOf(row)?.concurrency
    if (max === undefined) return true
    const same = flying.filter((flight) => flight.row.kind === row.kind).length + starting.filter((other) => other.kind === row.kind).length
    return same < max
  }

  start(row: EffectRow): void {
    const controller = new AbortController()
    const timers = new Set<() => void>()
    const key = `${row.id}#${row.attempt}`
    const ended = this.#fly(row, controller, timers).finally(() => {
      for (const cancel of timers) cancel()
      this.#flights.delete(key)
      this.#options.admissions.landed(row)
    })
    this.#flights.set(key, { row, controller, ended, deaf: false, timers })
  }

  /** Starts, tells and stops callbacks and observables, as a committed turn has decided. They take no room from effects. */
  obey(orders: readonly VolatileOrder[]): void {
    if (!this.#stopped) this.#options.volatiles.obey(orders)
  }

  abort(id: string): void {
    for (const flight of this.#flights.values()) {
      if (flight.row.id !== id) continue
      flight.controller.abort(new Failure('E_CANCELLED', 'the actor left the state that invoked it'))
      this.#grace(flight)
    }
  }

  #grace(flight: Flight): void {
    const cancel = this.#options.clock.setTimer(ABORT_GRACE_MS, () => {
      flight.deaf = true
      this.#options.admissions.landed(flight.row)
      this.#options.room()
    })
    flight.timers.add(cancel)
  }

  /** Aborts everything and waits until it has ended, at most `graceMs`. Outcomes that come of the abort are not recorded: nobody knows what had happened. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true
    this.#options.admissions.stop()
    this.#options.volatiles.stopAll()
    for (const flight of this.#flights.values()) flight.controller.abort(new Failure('E_STOPPED', 'the run stops'))
    const ended = Promise.all([...this.#flights.values()].map((flight) => flight.ended))
    let cancel = (): void => {}
    const late = new Promise<void>((resolve) => {
      cancel = this.#options.clock.setTimer(graceMs, resolve)
    })
    await Promise.race([ended, late])
    cancel()
    for (const flight of this.#flights.values()) for (const end of flight.timers) end()
    this.#options.admissions.closeAll()
  }

  #handlerOf(row: EffectRow) {
    try {
      return this.#options.host.handler(row).handler
    } catch {
      return undefined // The attempt itself reports it.
    }
  }

  async #fly(row: EffectRow, controller: AbortController, timers: Set<() => void>): Promise<void> {
    let usage: Usage | null = null
    const notes: Note[] = []
    const late = Promise.withResolvers<Outcome>()
    const deadlines = this.#deadlines(row, controller, timers, late.resolve)
    const spent = (used: Usage): void => {
      usage = usageOf(used)
    }
    const call = this.#call(row, controller.signal, deadlines, { spent, note: (type, data) => keepNote(notes, type, data) })
    const outcome = await Promise.race([this.#perform(row, call), late.promise])
    const isCut = !outcome.ok && controller.signal.aborted
    const aborted = isCut && this.#stopped
    const silent = isCut && (usage === null || outcome.silent === true)
    this.#options.settled(row, {
      ...outcome,
      usage,
      ...(notes.length > 0 ? { notes } : {}),
      ...(aborted ? { aborted } : {}),
      ...(silent ? { silent } : {}),
    })
  }

  /** When a deadline passes the attempt is aborted, and given a grace to end by itself; then it has failed without its word. */
  #deadlines(row: EffectRow, controller: AbortController, timers: Set<() => void>, resolve: (late: Outcome) => void): AttemptDeadlines {
    const { clock, now } = this.#options
    const leftMs = row.totalAt === undefined ? Number.POSITIVE_INFINITY : row.totalAt - now()
    const deadlines = new AttemptDeadlines(clock, row, leftMs, (failure) => {
      controller.abort(failure)
      timers.add(clock.setTimer(2 * ABORT_GRACE_MS, () => resolve({ ...failed(failure, row, clock.wallMs()), silent: true } as Outcome)))
    })
    timers.add(() => deadlines.end())
    return deadlines
  }

  async #perform(row: EffectRow, call: EffectCall<Json>): Promise<Outcome> {
    try {
      if (row.kind === 'action') {
        const { machine } = row.input as { machine: string } // The actor may be gone by now.
        await this.#options.host.action(machine, row.src, call)
        return { ok: true, output: undefined, usage: null }
      }
      if (row.kind === 'promise') return { ok: true, output: checked(row, await this.#promise(row, call.signal)), usage: null }
      const { declaration, handler } = this.#options.host.handler(row)
      const output = checked(row, declaration.output.safeParse(await handler.perform(call as EffectCall<never>)))
      return { ok: true, output, usage: null }
    } catch (thrown) {
      // What an aborted handler throws is the abort's reason, not a finding of its own.
      const reason: unknown =
        call.signal.aborted && call.signal.reason instanceof Failure && call.signal.reason.code === 'E_EFFECT_TIMEOUT'
          ? call.signal.reason
          : thrown
      return failed(reason, row, this.#options.clock.wallMs())
    }
  }

  /** A plain promise of XState. It hears of an abort by its own signal, and what comes of it after that still counts. */
  async #promise(row: EffectRow, signal: AbortSignal): Promise<{ success: true; data: unknown }> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const hosted = this.#options.volatiles.host(row, (end) => (end.ok ? resolve(end.output) : reject(end.error)))
    signal.addEventListener('abort', () => hosted.abort(), { once: true })
    hosted.start()
    return { success: true, data: await promise }
  }

  #call(
    row: EffectRow,
    signal: AbortSignal,
    deadlines: AttemptDeadlines,
    words: Pick<EffectCall<Json>, 'spent' | 'note'>,
  ): EffectCall<Json> {
    const { run, thread, progress } = this.#options
    return {
      input: row.input,
      key: `${run}/${row.id}`,
      run,
      id: row.id,
      path: row.owner,
      attempt: row.attempt,
      signal,
      progress: (data) => {
        if (isAboutLoading(data)) deadlines.alive()
        else deadlines.progress()
        progress(row, data)
      },
      started: () => deadlines.started(),
      alive: () => deadlines.alive(),
      thread,
      ...words,
    }
  }
}

/** `{ loading }`: a model is being loaded, or is there. No output, so it ends neither the time to begin nor that for the first token. */
const isAboutLoading = (data: Json): boolean => typeof data === 'object' && data !== null && 'loading' in data

/** Facts of one attempt that are kept; what a handler notes beyond that is dropped, not the attempt. */
const NOTES_MAX = 100

/** @throws {Defect} `E_NOTE_INVALID` for a type that no handler may note, and data that is no JSON. */
function keepNote(notes: Note[], type: string, data: Note['data']): void {
  if (!NOTED_FACTS.has(type))
    throw new Defect('E_NOTE_INVALID', `a handler cannot note '${type}'`, { hint: `there are ${[...NOTED_FACTS].join(', ')}` })
  const kept = JSON.parse(JSON.stringify(data)) as Note['data']
  if (notes.length < NOTES_MAX) notes.push({ type, data: kept })
}

/** Above that sums of tokens and of nano-dollars are not exact any more. */
const COUNT_MAX = 1e12
const USD_MAX = 1e6

/** What a handler says it has used. Anything but counts is ignored: a wrong word about cost must not cost the run. */
function usageOf(spent: Usage): Usage | null {
  const { inputTokens, outputTokens, costUsd, simulated, local, cached, provider, model, ...parts } = (spent ?? {}) as Partial<Usage>
  const count = (value: unknown): number => (Number.isFinite(value) ? Math.min(COUNT_MAX, Math.max(0, Math.trunc(value as number))) : 0)
  if (spent === undefined || spent === null) return null
  const cost = typeof costUsd === 'number' && costUsd >= 0 && costUsd <= USD_MAX ? costUsd : null
  return {
    inputTokens: count(inputTokens),
    outputTokens: count(outputTokens),
    costUsd: cost,
    ...(parts.cacheReadTokens === undefined ? {} : { cacheReadTokens: count(parts.cacheReadTokens) }),
    ...(parts.cacheWriteTokens === undefined ? {} : { cacheWriteTokens: count(parts.cacheWriteTokens) }),
    ...(parts.reasoningTokens === undefined ? {} : { reasoningTokens: count(parts.reasoningTokens) }),
    ...(typeof provider === 'string' ? { provider } : {}),
    ...(typeof model === 'string' ? { model } : {}),
    ...(local === true ? { local } : {}),
    ...(cached === true ? { cached } : {}),
    ...(simulated === true ? { simulated } : {}),
  }
}

/** @throws {Defect} `E_EFFECT_OUTPUT`, `E_NOT_JSON`, `E_PAYLOAD_TOO_LARGE`. */
export function checked(
  row: EffectRow,
  parsed: {
    success: boolean
    data?: unknown
    error?: { issues: readonly { path: readonly PropertyKey[]; message: string }[] } | undefined
  },
): Json | undefined {
  if (!parsed.success) {
    const issue = parsed.error?.issues[0]
    throw new Defect('E_EFFECT_OUTPUT', `output of ${labelOf(row)}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? 'is invalid'}`)
  }
  if (parsed.data === undefined) return undefined
  assertJson(parsed.data, `output of ${labelOf(row)}`)
  const text = JSON.stringify(parsed.data)
  if (text.length > PAYLOAD_BYTES_MAX)
    throw new Defect('E_PAYLOAD_TOO_LARGE', `output of ${labelOf(row)} is ${text.length} bytes, ${PAYLOAD_BYTES_MAX} are allowed`)
  return JSON.parse(text)
}

const labelOf = (row: EffectRow): string => (row.kind === 'promise' ? `promise '${row.src}'` : row.kind)

/** What a promise was rejected with, where it is plain data and no error: its machine gets it as `event.error.data`. */
function plainReason(thrown: unknown, row: EffectRow): { readonly data?: Json } {
  if (row.kind !== 'promise' || thrown instanceof Error || thrown === undefined) return {}
  try {
    assertJson(thrown, 'reason')
    return { data: thrown }
  } catch {
    return {}
  }
}

/** A failure has its own word on what may help. Of a plain error it is found out, but never for policy `ask`: what cannot be taken back is not tried on a guess. */
function failed(thrown: unknown, row: EffectRow, wallMs: number): Outcome {
  const failure = thrown instanceof Failure ? thrown : null
  const about = { path: row.owner, effect: row.id }
  const detailed =
    failure === null ? null : errorData({ code: failure.code, message: failure.message, name: failure.name, ...failure.details }, about)
  // Details that are no plain data are left out, not the failure.
  const error = detailed !== null && detailed.code === failure?.code ? detailed : errorData(thrown, about)
  const { status, ...found } = classified(thrown, row, wallMs)
  const kind = status === undefined ? {} : { status }
  const retry = found.retry
  return {
    ok: false,
    error: { ...error, ...plainReason(thrown, row), ...kind, retry },
    failure: { retry, retryAfterMs: found.retryAfterMs },
    usage: null,
  }
}

function classified(thrown: unknown, row: EffectRow, wallMs: number): { retry: Failure['retry']; retryAfterMs?: number; status?: number } {
  if (thrown instanceof Failure)
    return { retry: thrown.retry, ...(thrown.retryAfterMs === undefined ? {} : { retryAfterMs: thrown.retryAfterMs }) }
  if (thrown instanceof Defect) return { retry: 'never' }
  const found = classify(thrown, wallMs)
  return row.policy === 'ask' ? { ...found, retry: 'never' } : found
}
