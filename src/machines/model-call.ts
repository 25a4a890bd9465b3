/**
 * One call of a model by an agent, over the chain that its input names: who is asked now, who has failed, what is told when nobody is left.
 *
 *   generating --answer--> on                                    the next call begins with the first model again
 *       |--failed, another may help--> generating                fact model.switched
 *       '--failed, nobody left--> E_FALLBACK_EXHAUSTED           of a chain of one: its own error
 *
 * An agent without models asks the first provider of the registry, as programs of before did.
 */
import { type ErrorData, errorData } from '../errors.ts'
import { exhausted, modelError, nextModel, type Tried, triedOf } from './fallback.ts'
import type { Chain, ModelRef } from './models.ts'

/** Where a call stands in its chain. */
export interface ModelCall {
  readonly index: number
  readonly tried: readonly Tried[]
}
const FIRST_MODEL: ModelCall = { index: 0, tried: [] }

/** What an agent takes as its input: models in the order in which they are asked, and tokens that its prompts may take at most. */
export interface ModelInput {
  readonly models?: Chain | undefined
  readonly contextTokensMax?: number | undefined
}

/** The part of an agent's context that a call needs. Absent in snapshots of earlier versions. */
export interface Calling {
  readonly models?: Chain | undefined
  readonly contextTokensMax?: number | null | undefined
  readonly call?: ModelCall | undefined
}

/** Its part of an agent's first context. */
export const callingOf = ({ models, contextTokensMax }: ModelInput): Calling =>
  models === undefined ? {} : { models, contextTokensMax: contextTokensMax ?? null, call: FIRST_MODEL }

/** The next call begins with the first model again. */
export const freshCall = ({ models }: Calling): Calling => (models === undefined ? {} : { call: FIRST_MODEL })

const chainOf = ({ models }: Calling): Chain => models ?? []
const callOf = ({ call }: Calling): ModelCall => call ?? FIRST_MODEL

/** Who is asked now; undefined where the agent has no models. */
export const modelAtHand = (context: Calling): ModelRef | undefined => chainOf(context)[callOf(context).index]

/** Tokens that a prompt may take: what the model takes without the room for its answer, and no more than the agent may. */
export function promptTokensMax({ contextTokens, outputTokensMax }: ModelRef, contextTokensMax: number | null): number {
  return Math.max(1, Math.min(contextTokens, contextTokensMax ?? contextTokens) - outputTokensMax)
}

/**
 * The part of an `llm.generate` input that says who is asked. `failFast`: another one waits behind it, so a closed gate refuses at once; `impatient`: one of
 * another quota group does, so a gate that is paused for long does too.
 */
export function askedOf(context: Calling): { model?: ModelRef; promptTokensMax?: number; failFast?: true; impatient?: true } {
  const model = modelAtHand(context)
  if (model === undefined) return {}
  const others = chainOf(context).slice(callOf(context).index + 1)
  const isImpatient = others.some(({ quotaGroup }) => quotaGroup !== model.quotaGroup)
  const room = promptTokensMax(model, context.contextTokensMax ?? null)
  return {
    model,
    promptTokensMax: room,
    ...(others.length === 0 ? {} : { failFast: true as const }),
    ...(isImpatient ? { impatient: true as const } : {}),
  }
}

const failed = (thrown: unknown): ErrorData => modelError(errorData(thrown))

/** Is there another model that may have the answer? */
export const hasAnother = (context: Calling, thrown: unknown): boolean =>
  nextModel(chainOf(context), callOf(context).index, failed(thrown)) !== null

/** The call after its model has failed: the next one is at hand. */
export function switched(context: Calling, thrown: unknown): ModelCall {
  const { index, tried } = callOf(context)
  const model = modelAtHand(context)
  const error = failed(thrown)
  return {
    index: nextModel(chainOf(context), index, error) ?? index,
    tried: model === undefined ? tried : [...tried, triedOf(model, error)],
  }
}

/** Data of `model.switched`. */
export function switchOf(context: Calling, thrown: unknown) {
  const after = switched(context, thrown)
  const last = after.tried.at(-1)
  return {
    from: last?.alias ?? '',
    to: chainOf(context)[after.index]?.alias ?? '',
    reason: last?.code ?? '',
    timedOut: last?.timedOut ?? false,
    text: last?.reason ?? '',
  }
}

/** Why the call has failed, with every model that was tried. */
export function failedCall(context: Calling, thrown: unknown): ErrorData {
  const error = failed(thrown)
  const model = modelAtHand(context)
  if (model === undefined) return error
  return exhausted(chainOf(context), [...callOf(context).tried, triedOf(model, error)], error)
}
