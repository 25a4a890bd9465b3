/**
 * The port to models. A provider never rejects: what a model or a network refuses is data, which the effect's handler turns into a `Failure`.
 * Retries are not its business: each call is one attempt, and the engine decides about the next one.
 */
import type { ErrorData } from '../errors.ts'
import type { Json } from '../json.ts'
import type { Message } from '../machines/vocabulary.ts'

export type { Message } from '../machines/vocabulary.ts'

/** A tool as a model is told of it. `input` is a JSON Schema. */
export interface ToolOffer {
  readonly name: string
  readonly description: string
  readonly input: Json
}

export interface GenerateRequest {
  /** Who asks: `coder`, `reviewer`, `orchestrator`. */
  readonly agent: string
  readonly item: string | null
  /** Which answer of this conversation is asked for, from 1. */
  readonly turn: number
  /** Of this one request, from 1. Attempts before a crash count. */
  readonly attempt: number
  readonly messages: readonly Message[]
  readonly tools: readonly ToolOffer[]
  /** JSON Schema that the answer must fit; null for free text. */
  readonly schema: Json
  readonly outputTokensMax: number
}

export interface GenerateOptions {
  /** Aborted when nobody wants the answer any more; then the result does not matter, but it comes soon. */
  readonly signal: AbortSignal
  /** Text as it streams. */
  readonly progress: (data: Json) => void
}

/** `costUsd: null`: the price is unknown. */
export interface GenerateUsage {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costUsd: number | null
}

export type GenerateResult =
  | { readonly ok: true; readonly message: Message; readonly usage: GenerateUsage; readonly finish: string }
  | {
      readonly ok: false
      readonly code: string
      readonly message: string
      readonly retry: 'never' | 'backoff' | 'after'
      readonly retryAfterMs?: number | undefined
      /** What the attempt has cost although it failed. */
      readonly usage?: GenerateUsage | undefined
      readonly details?: Partial<ErrorData> | undefined
    }

export interface Provider {
  readonly name: string
  /** Answers of a script or a tape, not of a model. Every result says so. */
  readonly simulated: boolean
  /** One attempt. Never rejects, also not when it is aborted. */
  generate(request: GenerateRequest, options: GenerateOptions): Promise<GenerateResult>
}
