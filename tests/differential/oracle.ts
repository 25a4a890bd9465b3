/**
 * A machine under `createActor` with XState's simulated clock, which is what Troupe is measured against.
 *
 * The known differences that are taken care of here:
 * - LATE_NEWS: what a child says of its end after its parent has stopped or replaced it reaches the parent, as if its successor had said so; an error
 *   even ends it. It is stale here, so it is taken out of the mail.
 * - ORPHANS: the children of an actor whose code threw go on under createActor (xstate#5153). They are stopped, as Troupe does.
 * - LATE_START: an actor starts its children before its first step's sends are delivered, but for those that end in their own first step. Not compared.
 * - BORN_AND_STOPPED: a child that is spawned and stopped by the first step of its parent lives for a moment; here it never was. Not compared.
 * - DOUBLE_TIMER: of two timers that an actor has set under one id, a cancel reaches the later there and both here. Not compared.
 * - SUCCESSOR_IN_FRAME: a child that is born while the one before it, under the same id, is still handling an event: that one has caused its own end. The new
 *   one is idle there, and here its address is busy, so it is served when that event is done. Order across senders; not compared.
 * - EARLY_LOOK_UP: an actor is in the system there as soon as its parent's step has built it, with all below it, and here with its own first step. Only its
 *   parent finds it before. Not compared where somebody else looks it up in between.
 * - SUCCESSOR: mail to an actor that is no own child is for its address here, and whoever lives there by then gets it; there it is for that very actor. By
 *   the references in contexts it is masked in {@link ./build.ts}; where it was found by its system id, it is not compared.
 * - ORPHAN_IN_FRAME: an orphan that has more to send in the step that led to its parent's end goes on sending. Not compared.
 * - ROOT_ENDED: what actors that are still handling an event do after the root has ended. Here the run is over at that moment, and what they emit
 *   in the last play is not compared.
 * - DOUBLE_CHILD: a state that XState enters a second time without having left it invokes a second child under one id. Here that is refused; not compared.
 * - STOPPED_BUSY: a child that is stopped while it handles an event loses what waits for it there, also what was sent to it before the stop. Here that is
 *   still delivered, as it is to an idle child in both. Not compared.
 * - TIES: timers of different actors that are due at the same instant fire in the order they were set. An actor sets its timers here before anybody
 *   handles what it has sent, and in the order of its operations there. Such a case is not compared; see {@link Unlike}.
 */
import { type AnyActor, type AnyActorRef, type AnyStateMachine, createActor, SimulatedClock } from 'xstate'
import { ENERGY, type Input, ROOT } from './build.ts'
import type { Play } from './literal.ts'

/** All that is compared: who lives in which state, who has ended how, and what was emitted and handled since the picture before. */
export interface Picture {
  readonly actors: Readonly<Record<string, ActorPicture>>
  /** By actor: `/top/one/a done {...}`. */
  readonly ends: readonly string[]
  readonly told: readonly string[]
  readonly trace: readonly string[]
}
export interface ActorPicture {
  readonly value: unknown
  readonly context: unknown
  readonly history: unknown
}

/** Why the hosts may differ in this case, which is then left out. */
export type Unlike =
  | 'ties'
  | 'systemIdAtInit'
  | 'lateStart'
  | 'bornAndStopped'
  | 'doubleTimer'
  | 'doubleChild'
  | 'successorInFrame'
  | 'orphanInFrame'
  | 'earlyLookUp'
  | 'successor'
  | 'stoppedBusy'

export const INPUT: Input = { path: ROOT, nth: 0, bossNth: 0, energy: ENERGY, peer: null }

type Parts = Omit<AnyActor, '_parent'> & {
  readonly _parent?: AnyActor
  readonly mailbox: { _current: { next: unknown } | null; _process(event: { type: string }): void }
  _stop(): void
  readonly _deferred: readonly unknown[]
  readonly _snapshot?: { status: string }
  readonly _processingStatus: number
}
interface Pending {
  readonly start: number
  readonly timeout: number
}

/** @returns a picture after the start and after each play, or why there is nothing to compare. */
export function underCreateActor(machine: AnyStateMachine, trace: string[], plays: readonly Play[]): readonly Picture[] | Unlike {
  const host = new Oracle(machine, trace)
  const pictures = [host.picture()]
  for (const play of plays) {
    if ('waitMs' in play) host.wait(play.waitMs)
    else host.send(play)
    pictures.push(host.picture())
  }
  return host.unlike ?? pictures
}

class Oracle {
  unlike: Unlike | null = null
  readonly #root: AnyActor
  readonly #clock = new SimulatedClock()
  readonly #trace: string[]
  #ends: string[] = []
  #told: string[] = []
  readonly #owners = new Map<number, string>()
  /** Who handles an event, the innermost last. */
  readonly #busy: Parts[] = []
  readonly #born = new Map<unknown, readonly AnyActor[]>()
  /** How much had been handled when the root ended. */
  #traceAtEnd: number | null = null
  readonly #mailboxes = new Map<unknown, Parts['mailbox']>()
  readonly #sources = new WeakMap<object, unknown>()

  constructor(machine: AnyStateMachine, trace: string[]) {
    this.#trace = trace
    this.#root = createActor(machine, {
      id: 'one',
      input: INPUT,
      clock: this.#clock,
      logger: () => {},
      inspect: (event) => {
        if (event.type === '@xstate.actor') this.#follow(event.actorRef as unknown as Parts)
        else if (event.type === '@xstate.event')
          this.#mailed(event.event, event.sourceRef as unknown as Parts, event.actorRef as unknown as Parts)
      },
    })
    this.#ownTimers()
    this.#watchLookUps()
    this.#root.start()
    this.wait(0)
  }

  send(play: Extract<Play, { send: unknown }>): void {
    const live = this.#live()
    const [, actor] = live[play.to % Math.max(1, live.length)] ?? []
    actor?.send({ type: play.send, energy: ENERGY } as { type: string })
    this.wait(0)
  }

  /** From one instant at which something is due to the next, as time passes. */
  wait(ms: number): void {
    const end = this.#clock.now() + ms
    for (;;) {
      const due = [...this.#pending()].map(([id, { start, timeout }]) => ({ id, at: start + timeout })).filter(({ at }) => at <= end)
      const at = Math.min(...due.map((each) => each.at))
      if (due.length === 0) break
      if (new Set(due.filter((each) => each.at === at).map(({ id }) => this.#owners.get(id))).size > 1) this.unlike ??= 'ties'
      this.#clock.set(Math.max(at, this.#clock.now()))
    }
    this.#clock.set(end)
  }

  picture(): Picture {
    const actors = this.#live().map(([path, actor]) => {
      const { value, context, historyValue } = actor.getSnapshot() as {
        value: unknown
        context: unknown
        historyValue: Record<string, { id: string }[]>
      }
      return [path, { value, context: plain(context), history: historyOf(historyValue) }] as const
    })
    if (this.#traceAtEnd !== null) this.#trace.splice(this.#traceAtEnd)
    if (this.#traceAtEnd !== null) this.#traceAtEnd = 0
    const picture = {
      actors: Object.fromEntries(actors),
      ends: byActor(this.#ends),
      told: this.#traceAtEnd === null ? byActor(this.#told) : [],
      trace: this.#trace.splice(0),
    }
    this.#ends = []
    this.#told = []
    return picture
  }

  #pending(): Map<number, Pending> {
    return (this.#clock as unknown as { timeouts: Map<number, Pending> }).timeouts
  }

  /** Remembers whose each timer is. */
  #ownTimers(): void {
    const system = this.#root.system as unknown as {
      scheduler: { schedule(source: AnyActorRef, target: AnyActorRef, event: object, delay: number, id?: string): void }
      getSnapshot(): { _scheduledEvents: Record<string, { source: AnyActorRef; id: string }> }
    }
    const { scheduler } = system
    const schedule = scheduler.schedule.bind(scheduler)
    scheduler.schedule = (source, target, event, delay, id) => {
      if (Object.values(system.getSnapshot()._scheduledEvents).some((other) => other.source === source && other.id === id))
        this.unlike ??= 'doubleTimer'
      // Due at once: it fires in this very flush of the clock, where nobody looks at ties any more.
      const isTied = [...this.#pending()].some(
        ([other, due]) => due.start + due.timeout <= this.#clock.now() && this.#owners.get(other) !== pathOf(source),
      )
      if (delay <= 0 && isTied) this.unlike ??= 'ties'
      schedule(source, target, event, delay, id)
      for (const id of this.#pending().keys()) if (!this.#owners.has(id)) this.#owners.set(id, pathOf(source))
    }
  }

  #mailed(event: { type: string; for?: number }, from: Parts | undefined, to: Parts): void {
    this.#sources.set(event, from)
    if (
      from === undefined ||
      from === to ||
      to._parent === (from as unknown) ||
      event.for !== undefined ||
      event.type.startsWith('xstate.')
    )
      return
    const now = this.#live().find(([path]) => path === pathOf(to as never))
    if (now !== undefined && now[1] !== (to as unknown)) this.unlike ??= 'successor'
  }

  #watchLookUps(): void {
    const system = this.#root.system as unknown as { get(systemId: string): Parts | undefined }
    const get = system.get
    system.get = (systemId) => {
      const found = get(systemId)
      if (found?._processingStatus === 0 && found._parent !== (this.#busy.at(-1) as unknown)) this.unlike ??= 'earlyLookUp'
      return found
    }
  }

  #live(): (readonly [string, AnyActor])[] {
    const all: (readonly [string, AnyActor])[] = []
    const walk = (actor: AnyActor | undefined): void => {
      if ((actor as unknown as Parts | undefined)?._snapshot?.status !== 'active' || actor === undefined) return
      all.push([pathOf(actor), actor])
      for (const child of Object.values((actor.getSnapshot() as { children: Record<string, AnyActor> }).children)) walk(child)
    }
    walk(this.#root)
    return all.sort(([a], [b]) => (a < b ? -1 : 1))
  }

  #follow(actor: Parts): void {
    if (actor._parent !== undefined) this.#born.set(actor._parent, [...(this.#born.get(actor._parent) ?? []), actor as never])
    const { mailbox } = actor // A stopped actor gets a new one.
    this.#mailboxes.set(actor, mailbox)
    const process = mailbox._process
    mailbox._process = (event) => {
      const [, id] = /^xstate\.(?:done\.actor|error\.actor|snapshot)\.(.*)$/.exec(event.type) ?? []
      const { children } = actor.getSnapshot() as { children?: Record<string, AnyActor> }
      this.#busy.push(actor)
      if (id === undefined || children?.[id] === this.#sources.get(event)) process(event)
      this.#busy.pop()
      this.#checkChildren(actor)
    }
    const stop = actor._stop.bind(actor)
    actor._stop = () => {
      if (mailbox._current?.next != null) this.unlike ??= 'stoppedBusy'
      stop()
    }
    const start = actor.start.bind(actor)
    actor.start = () => {
      const { status, children = {} } = actor.getSnapshot() as { status: string; children?: Record<string, AnyActor> }
      const siblings = actor._parent === undefined ? [] : (this.#born.get(actor._parent) ?? [])
      if (siblings.some((other) => other !== (actor as never) && other.id === actor.id && this.#mailboxes.get(other)?._current !== null))
        this.unlike ??= 'successorInFrame'
      const born = this.#born.get(actor) ?? []
      if (born.some((child) => 'ab'.includes(child.id) && (status !== 'active' || children[child.id] !== child)))
        this.unlike ??= 'bornAndStopped'
      else if (actor._deferred.length > 1 && born.some((child) => (child as unknown as Parts)._snapshot?.status !== 'active'))
        this.unlike ??= 'lateStart'
      const started = start()
      this.#checkChildren(actor)
      return started
    }
    actor.on('*', (event) => void this.#told.push(`${pathOf(actor as never)} ${event.type} ${(event as { n?: number }).n}`))
    actor.subscribe({
      complete: () => {
        const { status, output } = actor.getSnapshot() as { status: string; output: unknown }
        if (status === 'done') this.#ended(actor, `done ${JSON.stringify(output)}`)
      },
      error: (thrown: unknown) => {
        const error = thrown as { message: string }
        if (/^Actor with system ID|while the actor initializes itself/.test(error.message)) this.unlike ??= 'systemIdAtInit'
        this.#ended(actor, `error ${error.message}`)
        for (const child of childrenOf(actor)) this.#stopOrphan(child)
      },
    })
  }

  #checkChildren(actor: Parts): void {
    const running = (this.#born.get(actor) ?? []).filter((child) => (child as unknown as Parts)._processingStatus === 1).map(({ id }) => id)
    if (new Set(running).size < running.length) this.unlike ??= 'doubleChild'
  }

  #ended(actor: Parts, how: string): void {
    if (this.#traceAtEnd === null) this.#ends.push(`${pathOf(actor as never)} ${how}`)
    if (actor._parent === undefined) this.#traceAtEnd ??= this.#trace.length
  }

  #stopOrphan(orphan: Parts): void {
    if (this.#mailboxes.get(orphan)?._current !== null && orphan._deferred.length > 0) this.unlike ??= 'orphanInFrame'
    for (const child of childrenOf(orphan)) this.#stopOrphan(child)
    orphan._stop()
  }
}

function childrenOf(actor: Parts): readonly Parts[] {
  const { children = {} } = actor.getSnapshot() as { children?: Record<string, Parts> }
  return Object.values(children)
}

function pathOf(actor: AnyActorRef): string {
  const { _parent: parent } = actor as unknown as Parts
  return parent === undefined ? ROOT : `${pathOf(parent)}/${actor.id}`
}

/** What actors emit, and that they end, is in order for each of them: with its step here, and after what its step has sent under createActor. */
export const byActor = (lines: readonly string[]): string[] =>
  lines.toSorted((a, b) => (a.split(' ')[0]! < b.split(' ')[0]! ? -1 : a.split(' ')[0]! > b.split(' ')[0]! ? 1 : 0))

/** References as addresses, and everything else as JSON has it. */
function plain(context: unknown): unknown {
  const walk = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if ('sessionId' in value && 'send' in value) return { ref: pathOf(value as AnyActorRef) }
    if (Array.isArray(value)) return value.map(walk)
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, walk(each)]))
  }
  return JSON.parse(JSON.stringify(walk(context)))
}

/** Nodes of a parallel state stand in no promised order. */
export function historyOf(value: Record<string, readonly { readonly id: string }[]> | undefined): Record<string, string[]> {
  return Object.fromEntries(Object.entries(value ?? {}).map(([id, nodes]) => [id, nodes.map((node) => node.id).sort()]))
}
