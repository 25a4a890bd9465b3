/**
 * The vocabulary of health that machines and the engine share: how an actor stands, and what its judge hears. docs/SEMANTICS.md, section 16, says what each
 * standing means.
 */
import type { Json } from './json.ts'
import type { Address } from './protocol.ts'

export type HealthState = 'healthy' | 'busy' | 'loading_model' | 'waiting' | 'degraded' | 'suspect' | 'wedged' | 'stopped'

/** How an actor stands, with the proof. */
export interface Health {
  readonly state: HealthState
  /** `waiting`: on `child`, `person`, `rate_limit` or `provider`. `degraded`: on `errors` or the code of what is missing. `stopped`: how it ended. Else the effect, or null. */
  readonly on: string | null
  /** Run clock, milliseconds. Null where the rows of the run do not tell. */
  readonly since: number | null
  /** The proof in words, as of the last fact: `e12 command.run, process 4121 at 94% cpu`. */
  readonly evidence: string
  /** The proof as data. */
  readonly proof: { readonly [key: string]: Json }
  readonly errors: HealthErrors
}

/** Failed attempts and crashes of an actor, over all its lives. What a provider asks to wait for is no error. */
export interface HealthErrors {
  readonly total: number
  /** Within the last five minutes. */
  readonly window: number
  /** Of the window. */
  readonly perMinute: number
}

/** A process that an effect has started, looked at for a moment. */
export interface ProcessVitals {
  readonly pid: number
  /** Percent of one processor, within the moment. */
  readonly cpu: number
  /** Milliseconds of processor time since its start, with those of its children that have ended. */
  readonly cpuMs: number
  readonly command: string
}

/** What an effect waits for at its gate. `until`: run clock, null where it is not known. */
export interface Held {
  readonly on: 'rate_limit' | 'provider'
  readonly until: number | null
  readonly why: string
}

/** What a judge of health hears: facts about one actor, and signs of life. `now` is the run clock. */
export type HealthFact = { readonly now: number } & (
  | { readonly type: 'effect.owed' | 'effect.parked'; readonly effect: string; readonly kind: string }
  | { readonly type: 'effect.started'; readonly effect: string; readonly kind: string; readonly attempt: number }
  | { readonly type: 'effect.succeeded' | 'effect.cancelled'; readonly effect: string; readonly kind: string }
  | { readonly type: 'effect.failed'; readonly effect: string; readonly kind: string; readonly code: string }
  /** Its gate does not let it start, or not any more. */
  | { readonly type: 'effect.held'; readonly effect: string; readonly held: Held | null }
  /** `limited`: the provider itself has said how long to wait. `known`: its error was counted by a process or a life before. */
  | {
      readonly type: 'retry.scheduled'
      readonly effect: string
      readonly kind: string
      readonly attempt: number
      readonly nextAt: number
      readonly code: string
      readonly limited: boolean
      readonly known?: true | undefined
    }
  | { readonly type: 'ask.opened'; readonly ask: number; readonly to: Address; readonly until: number | null }
  | { readonly type: 'ask.settled'; readonly ask: number }
  | { readonly type: 'actor.crashed'; readonly code: string }
  | { readonly type: 'actor.restarted' }
  | { readonly type: 'actor.stopped'; readonly reason: string }
  /** An effect has reported something. `words`: what it was, `token` or `progress`. */
  | { readonly type: 'progress'; readonly effect: string; readonly loading: boolean; readonly words: 'token' | 'progress' }
  /** The time that the judge has asked for has come, and this is what is running. */
  | { readonly type: 'looked'; readonly processes: readonly (ProcessVitals & { readonly effect: string })[] }
)
