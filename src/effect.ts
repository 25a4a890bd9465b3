/**
 * The declaration of an effect: anything that touches the world. Pure data with schemas; the handler that performs it is registered
 * elsewhere, so a machine that invokes it stays pure and can be stepped again.
 *
 *   machine: invoke: { src: 'publish', input, onDone, onError }     setup({ actors: { publish } })
 *   registry: createTroupe({ effects: { publish: { perform, prove } } })
 */
import type { ActorLogic, Snapshot } from 'xstate'
import type { z } from 'zod'
import { Defect, type ErrorData } from './errors.ts'
import type { Json } from './json.ts'
import type { Address } from './protocol.ts'

/**
 * What to do after a crash with an effect that was started and whose outcome was never learned.
 * `repeat`: safe to do again. `prove`: a probe finds out whether it was applied. `ask`: parked in doubt until a person or a policy decides.
 */
export type RepeatPolicy = 'repeat' | 'prove' | 'ask'

/**
 * Only what may help is tried again: failures that say `retry: 'backoff' | 'after'`, plain errors that are transient (runtime/transient.ts) and attempts that
 * ran out of time (S2, S4). Delay = min(baseDelayMs * exponentialBase^n, maxDelayMs), jittered.
 */
export interface RetryPolicy {
  readonly maxAttempts: number
  readonly baseDelayMs: number
  readonly maxDelayMs: number
  readonly exponentialBase: number
}
export const NO_RETRY: RetryPolicy = { maxAttempts: 1, baseDelayMs: 1_000, maxDelayMs: 30_000, exponentialBase: 2 }

/** The worst case that one performance may spend, reserved in the commit that owes the effect and settled with its outcome. */
export interface Reserve {
  readonly tokens: number
  /** Money of the worst case. `null`: its price is unknown, so a budget of money refuses it. Default 0: it costs none. */
  readonly usd?: number | null | undefined
  /** Turns of an agent, counted by `budget.turnsMax`. Default 0. */
  readonly turns?: number | undefined
}

/**
 * When an effect is late, in milliseconds above 0; each is optional. What passes ends the attempt with `E_EFFECT_TIMEOUT` and `which`: `start`, `first`,
 * `idle`, `total`. The first three are of one attempt, live in the process, and are tried again by the retry policy.
 */
export interface Deadlines {
  /** Until the handler says that it has begun: `call.started()`, or its first progress. A model that is being loaded (`{ loading: true }`) has not. */
  readonly startMs?: number | undefined
  /** Until the first `call.progress(...)`: the first token. From `call.started()` where `startMs` is given, else from the beginning of the attempt. */
  readonly firstMs?: number | undefined
  /** Between two signs of life: any word of the handler. Begins where `startMs` and `firstMs` end, where they are given; else with the attempt. */
  readonly idleMs?: number | undefined
  /** Over all attempts and waits, from the commit that owes the effect. Absolute on the run clock: no crash and no resume begins it anew. Never tried again. */
  readonly totalMs?: number | undefined
}

export interface EffectDeclaration<Input = unknown, Output = unknown> {
  /** `noun.verb`: `llm.generate`, `command.run`. Shown everywhere; part of the journal. */
  readonly kind: string
  readonly input: z.ZodType<Input>
  readonly output: z.ZodType<Output>
  readonly repeat: RepeatPolicy
  /** Of one attempt, from its start. Default: none. */
  readonly timeoutMs?: number | undefined
  /** Default: none. A function of the input is asked once, in the step that owes the effect; what it says is kept with it. */
  readonly deadlines?: Deadlines | ((input: Input) => Deadlines) | undefined
  readonly retry?: RetryPolicy | ((input: Input) => RetryPolicy) | undefined
  /** Default: nothing is reserved. */
  readonly reserve?: ((input: Input) => Reserve) | undefined
}

type EffectSnapshot<Output, Input> = Snapshot<Output> & { readonly input: Input | undefined }

/** An effect as XState sees it: invoked like any actor, with types for its input and output. */
export interface EffectLogic<Input, Output> extends ActorLogic<EffectSnapshot<Output, Input>, { type: string }, Input> {
  readonly [EFFECT]: EffectDeclaration<Input, Output>
}

const EFFECT = Symbol.for('troupe.effect')

/**
 * Declares an effect. The result goes into `setup({ actors })`.
 * Run by plain `createActor` it errors: effects are performed by Troupe, after their intent is committed.
 */
export function effect<Input, Output>(declaration: EffectDeclaration<Input, Output>): EffectLogic<Input, Output> {
  const refuse = (): never => {
    throw new Defect('E_EFFECT_UNHOSTED', `effect ${declaration.kind} runs only under Troupe`, {
      hint: 'start the machine with createTroupe(...).start(tree)',
    })
  }
  return {
    [EFFECT]: declaration,
    transition: refuse,
    getInitialSnapshot: refuse,
    getPersistedSnapshot: (snapshot) => snapshot,
  }
}

/** What a plain promise and volatile logic are as effects. No declaration may take these names; `action` is a named action. */
export const LOGIC_KINDS = ['action', 'promise', 'callback', 'observable'] as const

/**
 * Callbacks and observables are volatile: started with the commit of the step that invoked them, started again by every resume, never in doubt and
 * owed no outcome.
 */
export const isVolatile = (row: { readonly kind: string }): boolean => row.kind === 'callback' || row.kind === 'observable'

/** The declaration behind a logic object, or undefined where it is no effect. */
export function effectOf(logic: unknown): EffectDeclaration | undefined {
  return typeof logic === 'object' && logic !== null ? (logic as { [EFFECT]?: EffectDeclaration })[EFFECT] : undefined
}

/** What a handler gets. */
export interface EffectCall<Input> {
  readonly input: Input
  /** `<run>/<effect id>`: the same for every attempt and after every crash. Pass it on as idempotency key. */
  readonly key: string
  readonly run: string
  /** `e12`: unique in its run. */
  readonly id: string
  /** Address of the actor that invoked it. */
  readonly path: Address
  /** From 1. Attempts before a crash count. */
  readonly attempt: number
  /** Aborted when the actor leaves the state, when the time is up, and when the run stops. */
  readonly signal: AbortSignal
  /** Output that streams. Goes to watchers, never into the journal; may be lost. A sign of life, and the first one ends `firstMs`. */
  readonly progress: (data: Json) => void
  /** The work has begun: ends `startMs`. A sign of life. */
  readonly started: () => void
  /** A sign of life and nothing more: it may be called for each byte. */
  readonly alive: () => void
  /** A fact for the journal, written with the outcome of this attempt; lost where the process dies before. Types: {@link NOTED_FACTS}. */
  readonly note: (type: string, data: { readonly [key: string]: Json | undefined }) => void
  /** A thread of this run as it is committed, e.g. the conversation that the input names. */
  readonly thread: (thread: string) => readonly Json[]
  /** What this attempt has used. Settled with the outcome, failed attempts included; the last call counts. */
  readonly spent: (usage: Usage) => void
}

/** Facts that a handler may note. */
export const NOTED_FACTS: ReadonlySet<string> = new Set(['llm.answered', 'provider.paused', 'context.compacted'])

/** Tokens and money of one attempt. `costUsd: null` means the price is unknown; it is never a false 0. */
export interface Usage {
  /** The whole prompt, tokens that came from a cache included. */
  readonly inputTokens: number
  /** The whole answer, reasoning included. */
  readonly outputTokens: number
  readonly costUsd: number | null
  /** Of `inputTokens`: read from the provider's prompt cache, and written to it. */
  readonly cacheReadTokens?: number | undefined
  readonly cacheWriteTokens?: number | undefined
  /** Of `outputTokens`: thought, not said. */
  readonly reasoningTokens?: number | undefined
  /** Who answered: the provider by its name, and its model. */
  readonly provider?: string | undefined
  readonly model?: string | undefined
  /** It ran on a machine of one's own: it costs no money by the piece. */
  readonly local?: boolean | undefined
  /** The provider told no cost, so that its tokens are counted from the length of what was said. */
  readonly estimated?: boolean | undefined
  /** Answers of a script, a tape or a test, not of a model. */
  readonly simulated?: boolean
  /** A kept answer: nobody was asked and nothing was used. `promptTokens`: what the model had counted for this prompt when it was. */
  readonly cached?: boolean | undefined
  readonly promptTokens?: number | undefined
  /** Of what is simulated: a model said it once, and it is on a tape. */
  readonly replayed?: boolean
}

/** What a probe found out about an effect whose outcome was never learned. Evidence is shown to people: `the file has the intended hash`. */
export type Verdict<Output> =
  | { readonly verdict: 'applied'; readonly output: Output; readonly evidence?: string }
  | { readonly verdict: 'not_applied'; readonly evidence?: string }
  | { readonly verdict: 'unknown'; readonly evidence?: string }

export interface EffectHandler<Input, Output> {
  /**
   * Touches the world. Called only after the intent is committed. May be called again after a crash where the policy allows it, always with the same key.
   * Throw a {@link Failure} for what the world refused. Anything else that is thrown is tried again only where it is plainly transient: a connection that
   * broke, a status such as 429 or 503.
   */
  readonly perform: (call: EffectCall<Input>) => Promise<Output> | Output
  /** Required by policy `prove`. Must not change anything. */
  readonly prove?: ((call: EffectCall<Input>) => Promise<Verdict<Output>> | Verdict<Output>) | undefined
  /** How many of these may be in flight at once in one run. Default: no limit but the run's. */
  readonly concurrency?: number | undefined
  /**
   * Asked before each attempt is started: until it is let in, the effect stays owed (or waits for its next attempt), so that a crash meanwhile costs nothing.
   * Without it everything is let in.
   */
  readonly admit?: ((request: AdmissionRequest<Input>) => Admission) | undefined
}

/** An attempt that wants to start. */
export interface AdmissionRequest<Input> {
  readonly input: Input
  /** `<run>/<effect id>#<attempt>`: unique for each attempt. */
  readonly ticket: string
  readonly path: Address
  /** From 1: the attempt that would be started. */
  readonly attempt: number
  /** To be called when `isOpen` may have become true. */
  readonly opened: () => void
}

/** The answer of a gate to one attempt. In memory only: after a crash everybody asks again. */
export interface Admission {
  /** May it start now? Once it has said yes it stands by that until it is closed. */
  readonly isOpen: () => boolean
  /** What it waits for, for whoever looks; null: it does not wait. `untilMs`: wall clock, where it is known. */
  readonly waiting: () => { readonly on: 'rate_limit' | 'provider'; readonly untilMs: number | null; readonly why: string } | null
  /** The attempt has ended, or it is not wanted any more. Called exactly once. */
  readonly close: () => void
}

/** The world said no. `retry` says what may help: `backoff` waits by the policy, `after` waits `retryAfterMs`. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly code: string
  readonly retry: 'never' | 'backoff' | 'after'
  readonly retryAfterMs: number | undefined
  readonly details: Partial<ErrorData>
  constructor(
    code: string,
    message: string,
    options: { retry?: 'never' | 'backoff' | 'after'; retryAfterMs?: number; details?: Partial<ErrorData> } = {},
  ) {
    super(message)
    this.code = code
    this.retry = options.retry ?? 'never'
    this.retryAfterMs = options.retryAfterMs
    this.details = options.details ?? {}
  }
}
