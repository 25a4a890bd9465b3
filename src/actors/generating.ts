/**
 * The handler of `llm.generate`: one attempt of one call, from the conversation to a priced answer. Retries are the engine's, on the effect's row.
 *
 *   thread ──stretch, room for the prompt──> messages ──provider of the model──> answer ──price──> usage, settled with the outcome
 *             prompt.ts                        once                               models.ts
 *
 * What came of it is a fact of the journal, `llm.answered`, written with the outcome. A provider that is told nothing of a model gets the request as it is.
 */
import { z } from 'zod'
import { type EffectCall, type EffectHandler, Failure, type Usage } from '../effect.ts'
import type { Json } from '../json.ts'
import { type GenerateInput, type GenerateOutput, OUTPUT_TOKENS_MAX } from '../machines/effects.ts'
import { costOf, type ModelRef } from '../machines/models.ts'
import { promptOf } from '../machines/prompt.ts'
import { tokensOfTools } from '../machines/tokens.ts'
import { verdict, workPlan } from '../machines/vocabulary.ts'
import type { GenerateRequest, GenerateResult, GenerateUsage, Message, Provider, ToolOffer } from './provider.ts'
import { toolSchemas } from './tools/catalogue.ts'
import { checkMessage, countedUsage } from './usable.ts'

/** Providers by the name that models use. A call without a model goes to the first one. */
export type Providers = Readonly<Record<string, Provider>>

export interface GeneratingOptions {
  readonly providers: Providers
}

type Call = EffectCall<GenerateInput>

/** The handler, for one set of providers. */
export function generating({ providers }: GeneratingOptions): EffectHandler<GenerateInput, GenerateOutput> {
  return {
    perform: async (call) => {
      const provider = providerOf(providers, call.input.model)
      const { signal, progress, started, alive } = call
      const request = requestOf(call)
      const result = await provider.generate(request, { signal, progress, started, alive })
      return settle(call, provider, request, result)
    },
  }
}

/** @throws {Failure} `E_MODEL_UNKNOWN` where a run names a provider that this process does not have. */
function providerOf(providers: Providers, model: ModelRef | undefined): Provider {
  const provider =
    model === undefined ? Object.values(providers)[0] : Object.hasOwn(providers, model.provider) ? providers[model.provider] : undefined
  if (provider !== undefined) return provider
  const known = Object.keys(providers).join(', ') || 'none'
  throw new Failure(
    'E_MODEL_UNKNOWN',
    `there is no provider \`${model?.provider ?? ''}\` for model ${model?.alias ?? '-'}; there are: ${known}`,
  )
}

function requestOf(call: Call): GenerateRequest {
  const { input, attempt, key } = call
  const { agent, item, turn, model } = input
  const outputTokensMax = model?.outputTokensMax ?? OUTPUT_TOKENS_MAX
  const tools = offers(input.tools)
  const asked = { agent, item, turn, attempt, key, messages: prompted(call, tools), tools, schema: schemaOf(input.format), outputTokensMax }
  return model === undefined ? asked : { ...asked, model }
}

/** What the model is shown of the conversation. That something does not fit is on record. @throws {Failure} `E_CONTEXT_TOO_LARGE`. */
function prompted(call: Call, tools: readonly ToolOffer[]): readonly Message[] {
  const { input } = call
  const thread = (name: string): readonly Message[] => call.thread(name) as readonly Message[]
  const prompt = promptOf({ input, thread, toolTokens: tokensOfTools(tools) })
  if (!prompt.ok) {
    const { needed, budget } = prompt
    throw new Failure('E_CONTEXT_TOO_LARGE', `${input.agent}: ${needed} tokens at most must be said, the model takes ${budget}`)
  }
  if (prompt.dropped !== null || prompt.cut > 0) {
    const item = input.item === null ? {} : { item: input.item }
    call.note('context.compacted', { beforeTokens: prompt.wholeTokens, afterTokens: prompt.tokens, method: 'truncated', ...item })
  }
  return prompt.messages
}

/** What it has cost is settled first, whatever came of it. */
function settle(call: Call, provider: Provider, { messages }: GenerateRequest, result: GenerateResult): GenerateOutput {
  const counted = result.usage === undefined ? undefined : countedUsage(result.usage, messages, result.ok ? result.message : null)
  const usage = counted === undefined ? undefined : priced(counted, provider, call.input.model)
  if (usage !== undefined) call.spent(usage)
  if (!result.ok) throw failureOf(result)
  checkMessage(result.message)
  note(call, provider, result, usage ?? result.usage)
  return { message: result.message, usage: { ...usage } as GenerateOutput['usage'], finish: result.finish }
}

/** The price is of the one who asks; a provider of a program's own may know better and say so. */
function priced(usage: GenerateUsage, provider: Provider, model: ModelRef | undefined): Usage {
  if (provider.simulated) return { ...usage, ...taped(usage, model), simulated: true }
  if (model === undefined) return usage
  const local = model.price?.basis === 'local' ? { local: true } : {}
  return { ...usage, costUsd: usage.costUsd ?? costOf(usage, model.price), ...named(model), ...local }
}

const named = ({ provider, model }: ModelRef) => ({ provider, model })

/** What a tape answers costs what the model had cost: so a budget is reached where it was reached when it was recorded. */
const taped = (usage: GenerateUsage, model: ModelRef | undefined) =>
  model === undefined ? {} : { ...named(model), costUsd: usage.costUsd ?? costOf(usage, model.price) }

function note(call: Call, provider: Provider, result: GenerateResult & { readonly ok: true }, usage: Usage): void {
  const { model } = call.input
  if (model === undefined) return
  const { inputTokens, outputTokens, cacheReadTokens } = usage
  const { finish, firstTokenMs, requestId } = result
  call.note('llm.answered', {
    provider: provider.name,
    model: model.model,
    alias: model.alias,
    attempt: call.attempt,
    inputTokens,
    outputTokens,
    cacheReadTokens,
    firstTokenMs,
    finish,
    requestId,
  })
}

function failureOf({ code, message, retry, retryAfterMs, details }: GenerateResult & { readonly ok: false }): Failure {
  return new Failure(code, message, {
    retry,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(details === undefined ? {} : { details }),
  })
}

const DONE: ToolOffer = {
  name: 'done',
  description: 'Ends the round: the work item is done.',
  input: z.toJSONSchema(z.strictObject({ summary: z.string().describe('one or two sentences: what changed, in which files') })) as Json,
}

/** Schemas are made once: they are the same for every call. */
let known: readonly ToolOffer[] | null = null
const schemas = new Map<GenerateInput['format'], Json>()

function offers(names: readonly string[]): readonly ToolOffer[] {
  known ??= [...toolSchemas().map(({ name, description, parameters }) => ({ name, description, input: parameters })), DONE]
  return known.filter((offer) => names.includes(offer.name))
}

function schemaOf(format: GenerateInput['format']): Json {
  if (format === 'text') return null
  const made = schemas.get(format) ?? (z.toJSONSchema(format === 'plan' ? workPlan : verdict, { io: 'input' }) as Json)
  schemas.set(format, made)
  return made
}
