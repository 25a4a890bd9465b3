/**
 * Is the model in memory, and with which window? Asked before each call, so that a cold start is told as one and has its own time (P19).
 *
 *   GET /api/ps ── there, with this window ─────────────────────────────> started
 *        |'─────── not there, another window, no answer within 1 s ──> { loading: true } ── POST /api/generate without a prompt ──> started
 *        '──────── an error: a server that has no such page ─────────> the call itself says when it began
 *
 * Why a request of its own: the chat sends no headers until its first token, so nothing tells loading from reading the prompt. And /api/ps does not say either:
 * older servers list a model from the beginning of its load, newer ones answer only when the load is over. A generate without a prompt is answered exactly when
 * the model is there, by all of them. Whoever asks while this process is loading the same model waits with it.
 *
 * An abort while it loads would cancel the load, so only the signal of the call does that: its deadline for loading, or that nobody wants the answer.
 */
import type { GenerateOptions, GenerateRequest } from '../provider.ts'
import { OllamaError } from './ollama-fetch.ts'
import { runOptions } from './ollama-request.ts'
import type { OllamaServer } from './ollama-server.ts'

type Model = NonNullable<GenerateRequest['model']>

/** What is kept of a server between calls. */
export interface OllamaMemory {
  /** How many calls of this process are loading the model. */
  readonly loading: Map<string, number>
  /** Tokens that a model was made for; it gets no larger window, whatever is asked. */
  readonly made: Map<string, number>
}

/** How long a page that costs nothing may take. A newer server holds it back while it loads. */
const PAGE_MS = 1_000

/** Nothing is known yet. */
export const noMemory = (): OllamaMemory => ({ loading: new Map(), made: new Map() })

/** Sees to it that the model is there. Rejects with what the server said where it cannot be loaded. @returns tokens of the window that it has. */
export async function ready(server: OllamaServer, memory: OllamaMemory, model: Model, options: GenerateOptions): Promise<number> {
  const { signal, progress, started } = options
  const [made, state] = await Promise.all([madeFor(server, memory, model.model, signal), stateOf(server, model, memory, signal)])
  const window = Math.min(model.contextTokens, made ?? model.contextTokens)
  const isThere = state === 'unknown' || (state !== 'absent' && (state.window === null || state.window === window))
  if (!isThere || memory.loading.has(model.model)) {
    progress({ loading: true })
    await load(server, memory, model, signal)
    progress({ loading: false })
  }
  if (state !== 'unknown') started?.()
  return window
}

async function load(server: OllamaServer, { loading }: OllamaMemory, model: Model, signal: AbortSignal): Promise<void> {
  const name = model.model
  loading.set(name, (loading.get(name) ?? 0) + 1)
  try {
    const client = await server.client({ signal, isStream: false })
    await client.generate({ ...runOptions(model), prompt: '', stream: false, options: { num_ctx: model.contextTokens } })
  } catch (thrown) {
    // A proxy may pass on the chat alone: then the chat loads the model.
    if (!(thrown instanceof OllamaError && (thrown.status === 404 || thrown.status === 405))) throw thrown
  } finally {
    const left = (loading.get(name) ?? 1) - 1
    if (left === 0) loading.delete(name)
    else loading.set(name, left)
  }
}

type State = { readonly window: number | null } | 'absent' | 'unknown'

async function stateOf(server: OllamaServer, model: Model, { loading }: OllamaMemory, signal: AbortSignal): Promise<State> {
  if (loading.has(model.model)) return 'absent'
  const late = AbortSignal.timeout(PAGE_MS)
  try {
    const client = await server.client({ signal: AbortSignal.any([signal, late]), isStream: false })
    const { models } = await client.ps()
    const found = models.find(({ name }) => isSame(name, model.model))
    const { context_length: window } = (found ?? {}) as { context_length?: unknown }
    return found === undefined ? 'absent' : { window: typeof window === 'number' && window > 0 ? window : null }
  } catch (thrown) {
    if (signal.aborted) throw thrown
    return late.aborted ? 'absent' : 'unknown'
  }
}

/** Names without a tag are of the tag `latest`; letters count in no case. */
export const isSame = (one: string, other: string): boolean => tagged(one) === tagged(other)
const tagged = (name: string): string => (/:[^/]+$/.test(name) ? name : `${name}:latest`).toLowerCase()

/** Asked once for each model; null where it does not say. */
async function madeFor(server: OllamaServer, { made }: OllamaMemory, model: string, signal: AbortSignal): Promise<number | null> {
  const known = made.get(model)
  if (known !== undefined) return known
  try {
    const client = await server.client({ signal: AbortSignal.any([signal, AbortSignal.timeout(PAGE_MS)]), isStream: false })
    const tokens = contextOf(await client.show({ model }))
    if (tokens !== null) made.set(model, tokens)
    return tokens
  } catch {
    return null // The call itself will say what is wrong.
  }
}

/** Tokens of the context in the answer of show: `<architecture>.context_length`. */
export function contextOf(shown: { readonly model_info?: unknown }): number | null {
  const info = Object.entries((shown.model_info ?? {}) as { readonly [key: string]: unknown })
  const tokens = info.find(([key]) => key.endsWith('.context_length'))?.[1]
  return typeof tokens === 'number' && Number.isInteger(tokens) && tokens > 0 ? tokens : null
}
