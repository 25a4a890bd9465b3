/**
 * The port to models. A provider never rejects: what a model or a network refuses is data, which the effect's handler turns into a `Failure`.
 * Retries are not its business: each call is one attempt, and the engine decides about the next one.
 */
import type { Usage } from '../effect.ts'
import type { ErrorData } from '../errors.ts'
import type { Json } from '../json.ts'
import type { ModelRef } from '../machines/models.ts'
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
  /** Who is asked; left out where a program gave a provider and no model. */
  readonly model?: ModelRef | undefined
  /** `<run>/<effect id>`: the same for every attempt and after every crash; an idempotency key. */
  readonly key?: string | undefined
}

export interface GenerateOptions {
  /** Aborted when nobody wants the answer any more; then the result does not matter, but it comes soon. */
  readonly signal: AbortSignal
  /** Text as it streams: `{ text }`. `{ loading: true }` while a local model is being loaded. `{ thinking: true }`, `{ tool }`: it thinks, it calls that tool. */
  readonly progress: (data: Json) => void
  /** The model is there and at work: ends the time for loading. */
  readonly started?: (() => void) | undefined
  /** A sign of life and nothing more. */
  readonly alive?: (() => void) | undefined
}

/** What a call has used. A provider leaves `costUsd` null and `provider`, `model`, `local` out: the price is of the one who asks, see generating.ts. */
export type GenerateUsage = Usage

/** Why a model stopped: `stop` it was done, `tool_calls`, `length` the answer was cut at its limit, `refusal`. */
export type Finish = 'stop' | 'tool_calls' | 'length' | 'refusal'

export type GenerateResult =
  | {
      readonly ok: true
      readonly message: Message
      readonly usage: GenerateUsage
      readonly finish: Finish
      /** The provider's own id of the exchange. */
      readonly requestId?: string | undefined
      /** From the request to the first piece of the answer, milliseconds. */
      readonly firstTokenMs?: number | undefined
      /** From a cache: nobody was asked, and nothing was used. Its `costUsd` is 0, whatever the price. */
      readonly cached?: boolean | undefined
    }
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

/** A model that a provider offers. Null: it does not say. */
export interface OfferedModel {
  readonly model: string
  readonly contextTokens: number | null
  /** Of a local one: is it in memory now? */
  readonly loaded: boolean | null
  readonly sizeBytes: number | null
}

export interface Provider {
  readonly name: string
  /** Answers of a script or a tape, not of a model. Every result says so. */
  readonly simulated: boolean
  /** One attempt. Never rejects, also not when it is aborted. */
  generate(request: GenerateRequest, options: GenerateOptions): Promise<GenerateResult>
  /** What it offers, of `troupe models`. Rejects with a {@link Failure} where it cannot be asked. */
  models?(signal: AbortSignal): Promise<readonly OfferedModel[]>
  /** Tokens that a prompt takes, exactly, where the provider counts for free. Rejects with a {@link Failure}. */
  countTokens?(request: GenerateRequest, signal: AbortSignal): Promise<number>
}
