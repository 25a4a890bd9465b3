/**
 * Runs one promise, callback or observable outside of steps, as XState's `Actor` would, and tells what comes of it.
 *
 *   start -> logic.start(first snapshot, scope) -> events from its mailbox, one by one, through logic.transition
 *                      |
 *                      +-- scope.system._relay(self, self, event)      what the logic tells itself: a value, a result, an error
 *                      +-- scope.system._relay(self, parent, event)    `sendBack`, values of an event observable
 *
 * - What arrives before `start` has returned waits. After its end it takes and tells nothing.
 * - Nothing thrown by the user's code comes out: it is the logic's end, with that error.
 * - Nothing here is durable: whoever hosts it commits what it is told.
 */
import type { ActorRef, EventData } from '../cell.ts'
import { isRef, type Ref } from '../ref.ts'
import type { PlainLogic } from './kinds.ts'
import { enliven, LiveRef } from './live-ref.ts'

/** How it ended by itself. Stopped logic has no end. */
export type LogicEnd = { readonly ok: true; readonly output: unknown } | { readonly ok: false; readonly error: unknown }

/** What an active snapshot shows to a parent that listens with `onSnapshot`. */
export interface ShownSnapshot {
  readonly status: 'active'
  readonly context?: unknown
}

/** Where the words of the logic go. None of these may throw. */
interface LogicOutside {
  send(to: ActorRef, event: unknown): void
  emit(event: unknown): void
  /** Only of logic whose parent listens. */
  shown(snapshot: ShownSnapshot): void
  ended(end: LogicEnd): void
  systemIds(): Readonly<Record<string, ActorRef>>
}

export interface HostedOptions {
  readonly logic: PlainLogic
  readonly self: ActorRef & { readonly id: string }
  readonly parent: ActorRef
  /** As it was parsed, with references. */
  readonly input: unknown
  /** Does its parent listen with `onSnapshot`? */
  readonly sync: boolean
  readonly outside: LogicOutside
}

interface LogicSnapshot {
  readonly status: 'active' | 'done' | 'error' | 'stopped'
  readonly context?: unknown
  readonly output?: unknown
  readonly error?: unknown
}

export class HostedLogic {
  readonly #options: HostedOptions
  readonly #scope: object
  readonly #queue: { readonly type: string }[] = []
  #snapshot: LogicSnapshot = { status: 'active' }
  #phase: 'new' | 'busy' | 'idle' | 'over' = 'new'
  /** What it did wrong in the user's code that runs right now; its end once that has returned, so that it can be cleaned up. */
  #wrong: { readonly thrown: unknown } | null = null

  constructor(options: HostedOptions) {
    this.#options = options
    this.#scope = this.#scopeOf(options)
  }

  /** Starts it. Call once. */
  start(): void {
    const { logic, input } = this.#options
    this.#phase = 'busy'
    try {
      this.#snapshot = logic.getInitialSnapshot(
        this.#scope,
        enliven(input, (ref) => this.#live(ref)),
      ) as LogicSnapshot
      logic.start?.(this.#snapshot, this.#scope)
    } catch (thrown) {
      this.#fail(thrown)
      return
    }
    this.#show()
    this.#judge()
    if (!this.#isOver()) this.#drain()
  }

  /** Ends it with an error that its host has found: it sent what cannot be sent. */
  crash(thrown: unknown): void {
    if (this.#phase === 'busy') this.#wrong ??= { thrown }
    else this.#fail(thrown)
  }

  /** Gives it an event. What it does not take is dropped, as XState does. */
  deliver(event: EventData): void {
    this.#take(enliven(event, (ref) => this.#live(ref)) as EventData)
  }

  /** Ends it: cleanup functions are called, subscriptions ended. Idempotent. @returns what was thrown by that, or undefined. */
  stop(): unknown {
    if (this.#phase === 'over') return undefined
    const isUp = this.#phase !== 'new'
    this.#phase = 'over'
    return isUp ? this.#cleanUp() : undefined
  }

  /** Tells it to stop, and still takes what comes of it: a promise that is aborted may end well. */
  abort(): void {
    if (this.#phase === 'busy' || this.#phase === 'idle') this.#cleanUp()
  }

  #take(event: { readonly type: string }): void {
    if (this.#phase === 'over') return
    this.#queue.push(event)
    if (this.#phase === 'idle') this.#drain()
  }

  #drain(): void {
    this.#phase = 'busy'
    for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) {
      this.#process(event)
      this.#judge()
      if (this.#isOver()) return
    }
    this.#phase = 'idle'
  }

  #process(event: { readonly type: string }): void {
    try {
      this.#snapshot = this.#options.logic.transition(this.#snapshot, event, this.#scope) as LogicSnapshot
    } catch (thrown) {
      this.#fail(thrown)
      return
    }
    const { status, output, error } = this.#snapshot
    if (status === 'done') this.#end({ ok: true, output })
    else if (status === 'error') this.#end({ ok: false, error })
    else this.#show()
  }

  /** What was found wrong while the user's code ran is its end, now that it has returned and can be cleaned up. */
  #judge(): void {
    if (this.#wrong !== null) this.#fail(this.#wrong.thrown)
  }

  #show(): void {
    if (!this.#options.sync || this.#isOver()) return
    this.#options.outside.shown({ status: 'active', ...('context' in this.#snapshot ? { context: this.#snapshot.context } : {}) })
  }

  /** XState leaves what a callback has opened before it threw; here it is cleaned up. */
  #fail(error: unknown): void {
    if (this.#isOver()) return
    this.#cleanUp()
    this.#end({ ok: false, error })
  }

  #end(end: LogicEnd): void {
    this.#phase = 'over'
    this.#options.outside.ended(end)
  }

  #cleanUp(): unknown {
    try {
      this.#options.logic.transition(this.#snapshot, { type: 'xstate.stop' }, this.#scope)
      return undefined
    } catch (thrown) {
      return thrown
    }
  }

  /** User code may have stopped it in between. */
  #isOver(): boolean {
    return this.#phase === 'over'
  }

  #live(to: ActorRef & { readonly id?: string }): LiveRef {
    return new LiveRef(to, (ref, event) => this.#send(ref, event))
  }

  #send(to: ActorRef, event: unknown): void {
    const { self, outside } = this.#options
    if (this.#isOver() || this.#wrong !== null) return
    if (to.address === self.address && to.incarnation === self.incarnation) this.#take(event as { type: string })
    else outside.send(to, event)
  }

  #scopeOf({ self, parent, outside }: HostedOptions): object {
    const ref = this.#live(self)
    ref._parent = this.#live(parent)
    ref.getSnapshot = () =>
      (this.#isOver() && this.#snapshot.status === 'active' ? { ...this.#snapshot, status: 'stopped' } : this.#snapshot) as never
    const get = (systemId: string): LiveRef | undefined => {
      const ids = outside.systemIds()
      return Object.hasOwn(ids, systemId) ? this.#live(ids[systemId]!) : undefined
    }
    ref.system = {
      get,
      getAll: () => Object.fromEntries(Object.keys(outside.systemIds()).map((systemId) => [systemId, get(systemId)])),
      _relay: (_from: Ref, to: Ref, event: unknown) => {
        if (isRef(to)) this.#send(to, event)
      },
      _logger: () => {},
    }
    return {
      self: ref,
      id: self.id,
      sessionId: ref.sessionId,
      system: ref.system,
      logger: () => {},
      defer: () => {},
      stopChild: () => {},
      emit: (event: unknown) => {
        if (!this.#isOver()) outside.emit(event)
      },
    }
  }
}
