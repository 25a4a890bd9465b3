/**
 * Which models an agent has, in the order in which they are tried: made once, before a run is, from the configuration, the task and the flags.
 *
 *   --model  >  agents.X.model of the task  >  [agents.X] model  >  the alias with the agent's name  >  `orchestrator`  >  `coder`  >  the first one
 *                                                   '--> alias --> [models.ALIAS] --> its fallbacks, each followed by its own --> Chain
 *
 * Nothing configured: no chain, and replies are scripted, which is always said. What is configured is never replaced by a script.
 */
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import { type Chain, type ModelRef, modelRef } from '../machines/models.ts'
import { vramPlan } from '../machines/vram.ts'
import { nearest } from '../near.ts'
import { contextTokensOf, type ModelEntry, type ModelSettings, priceOf } from './model-settings.ts'
import { placeOf } from './provider-places.ts'

const AGENTS = ['orchestrator', 'coder', 'reviewer', 'optimizer'] as const
export type AgentName = (typeof AGENTS)[number]

/** What a task says of the model of an agent. */
interface AgentWish {
  readonly model?: string | undefined
  readonly temperature?: number | undefined
  readonly contextTokensMax?: number | undefined
}

/** What was asked for, beside the configuration. */
export interface ModelChoice {
  readonly modelFlag?: string | undefined
  readonly providerFlag?: string | undefined
  readonly task?:
    | { readonly provider: string | null; readonly agents: { readonly [agent in AgentName]?: AgentWish | undefined } }
    | undefined
}

/** The models of a run. */
export interface ModelPlan {
  /** Of each agent; empty where replies are scripted. */
  readonly chains: Readonly<Record<AgentName, Chain>>
  /** All that a chain names, `scripted` where there is none. */
  readonly providers: readonly string[]
  /** No model at all is asked. */
  readonly simulated: boolean
  /** Nothing was configured and nothing asked for: the person should know what that means. */
  readonly unconfigured: boolean
  /** Tokens that the context of each agent may take. */
  readonly contextTokensMax: Readonly<Record<AgentName, number>>
}

const SCRIPTED = 'scripted'
/** Of an agent that says nothing (S7). */
const TEMPERATURE = 0.3
const CONTEXT_TOKENS_MAX = 16_384

/** The models of all agents of the team. @throws {UserError} as {@link chainOf}. */
export function planModels(settings: ModelSettings, choice: ModelChoice = {}): ModelPlan {
  const each = <T>(make: (agent: AgentName) => T) => Object.fromEntries(AGENTS.map((agent) => [agent, make(agent)])) as Record<AgentName, T>
  const chains = each((agent) => chainOf(settings, agent, choice))
  const providers = [...new Set(AGENTS.flatMap((agent) => chains[agent].map(({ provider }) => provider)))]
  const wanted = choice.providerFlag ?? choice.task?.provider ?? choice.modelFlag
  return {
    chains,
    providers: providers.length === 0 ? [SCRIPTED] : providers,
    simulated: providers.every((name) => name === SCRIPTED),
    unconfigured: Object.keys(settings.models).length === 0 && wanted === undefined,
    contextTokensMax: each(
      (agent) => choice.task?.agents[agent]?.contextTokensMax ?? settings.agents[agent]?.contextTokensMax ?? CONTEXT_TOKENS_MAX,
    ),
  }
}

/**
 * The models of one agent; empty: its replies are scripted.
 * @throws {UserError} `E_MODEL_UNKNOWN` (exit 3): an alias that is not there, with near ones; fallbacks that go round. `E_CONFIG_INVALID`: no such provider.
 */
export function chainOf(settings: ModelSettings, agent: AgentName, choice: ModelChoice = {}): Chain {
  const provider = choice.providerFlag ?? choice.task?.provider ?? null
  const where = choice.providerFlag === undefined ? 'task' : '--provider'
  if (provider !== null) placeOf(settings, provider, where)
  if (provider === SCRIPTED || choice.modelFlag === SCRIPTED) return []
  const wish = aliasFor(settings, agent, choice)
  if (wish === null) {
    if (provider === null) return []
    throw unknownAlias(settings, null, where, `no model of ${provider} is configured`)
  }
  if (!Object.hasOwn(settings.models, wish.alias) && choice.providerFlag !== undefined && choice.modelFlag !== undefined) {
    return [refOf(settings, agent, choice, wish.alias, named(choice.providerFlag, choice.modelFlag))]
  }
  const aliases = walk(settings, wish.alias, wish.where, [])
  const refs = [...new Set(aliases)].map((alias) => refOf(settings, agent, choice, alias, settings.models[alias]!))
  return provider === null ? refs : ofProvider(settings, agent, choice, refs, { provider, where })
}

/** Only the models of one provider: those of the agent's chain, else the first of the configuration. */
function ofProvider(
  settings: ModelSettings,
  agent: AgentName,
  choice: ModelChoice,
  refs: Chain,
  by: { provider: string; where: string },
): Chain {
  const own = refs.filter(({ provider }) => provider === by.provider)
  if (own.length > 0) return own
  const isGiven = choice.modelFlag !== undefined
  const other = isGiven ? undefined : speaking(settings).find((alias) => settings.models[alias]!.provider === by.provider)
  if (other === undefined) {
    const why = isGiven ? `\`${choice.modelFlag}\` is no model of ${by.provider}` : `no model of ${by.provider} is configured`
    throw unknownAlias(settings, null, by.where, why)
  }
  return [refOf(settings, agent, choice, other, settings.models[other]!)]
}

/** Aliases of models that answer, and do not only embed. */
const speaking = ({ models, memory }: ModelSettings): readonly string[] =>
  Object.keys(models).filter((alias) => alias !== memory.embeddingModel)

interface Wish {
  readonly alias: string
  /** What names it. */
  readonly where: string
}

function aliasFor(settings: ModelSettings, agent: AgentName, { modelFlag, task }: ModelChoice): Wish | null {
  if (modelFlag !== undefined) return { alias: modelFlag, where: '--model' }
  const ofTask = task?.agents[agent]?.model
  if (ofTask !== undefined) return { alias: ofTask, where: `task: agents.${agent}.model` }
  const ofConfig = settings.agents[agent]?.model ?? null
  if (ofConfig !== null) return { alias: ofConfig, where: settings.originOf(['agents', agent, 'model'])?.where ?? 'config' }
  const there = speaking(settings)
  const alias = [agent, 'orchestrator', 'coder', ...there].find((each) => there.includes(each))
  return alias === undefined ? null : { alias, where: 'config' }
}

/** An alias and its fallbacks, each followed by its own. */
function walk(settings: ModelSettings, alias: string, where: string, above: readonly string[]): readonly string[] {
  const model = Object.hasOwn(settings.models, alias) ? settings.models[alias] : undefined
  if (model === undefined) throw unknownAlias(settings, alias, where, `there is no model \`${alias}\``)
  if (above.includes(alias)) throw unknownAlias(settings, null, where, `the fallbacks go round: ${[...above, alias].join(' -> ')}`)
  const here = settings.originOf(['models', alias, 'fallback'])?.where ?? 'config'
  return [alias, ...model.fallback.flatMap((next) => walk(settings, next, here, [...above, alias]))]
}

function refOf(settings: ModelSettings, agent: AgentName, choice: ModelChoice, alias: string, entry: ModelEntry): ModelRef {
  const { provider, model } = entry
  placeOf(settings, provider, settings.originOf(['models', alias, 'provider'])?.where)
  const temperature = choice.task?.agents[agent]?.temperature ?? settings.agents[agent]?.temperature ?? entry.temperature
  return modelRef.parse({
    alias,
    provider,
    model,
    contextTokens: contextTokensOf(entry),
    outputTokensMax: entry.outputTokensMax,
    // A model that thinks takes its own temperature, unless somebody says otherwise.
    temperature: temperature ?? (entry.thinkingTokens === null ? TEMPERATURE : null),
    thinkingTokens: entry.thinkingTokens,
    tools: entry.tools,
    quotaGroup: entry.quotaGroup,
    vramGb: entry.vramGb,
    keepAliveMs: entry.keepAliveMs,
    price: priceOf(settings, provider, model),
    timeouts: pick(settings.timeouts),
    retry: settings.retry,
  })
}

/** `timeouts` of the configuration has more than models need. */
const pick = ({ loadMs, firstTokenMs, idleMs, totalMs }: ModelSettings['timeouts']) => ({ loadMs, firstTokenMs, idleMs, totalMs })

/** `--provider P --model NAME`: a model that is in no file, by the provider's own name. */
const named = (provider: string, model: string): ModelEntry => ({
  provider,
  model,
  contextTokens: null,
  outputTokensMax: 4_096,
  temperature: null,
  thinkingTokens: null,
  tools: 'native',
  vramGb: null,
  fallback: [],
  quotaGroup: provider,
  keepAliveMs: null,
})

function unknownAlias({ models }: ModelSettings, alias: string | null, where: string, why: string): UserError {
  const near = alias === null ? [] : nearest(alias, Object.keys(models))
  const there = Object.keys(models).join(', ') || 'none'
  const hint = near.length === 0 ? `; there are: ${there}` : `; did you mean ${near.map((each) => `\`${each}\``).join(' or ')}?`
  const fix = 'name an alias of [models] in troupe.toml: troupe models'
  return new UserError('E_MODEL_UNKNOWN', `${why}${alias === null ? '' : hint}`, { where, fix, exit: exitOf('E_MODEL_UNKNOWN') })
}

/** What models on the graphics card do not have room for together, one line each (S9). */
export function vramWarnings({ general }: Pick<ModelSettings, 'general'>, { chains }: Pick<ModelPlan, 'chains'>): readonly string[] {
  return vramPlan(Object.values(chains), { totalGb: general.totalVramGb, reserveGb: general.reserveVramGb }).warnings
}

/**
 * A limit of money holds only where each model has a price.
 * @throws {UserError} `E_PRICE_UNKNOWN` (exit 3). Called before a run is made.
 */
export function checkPrices({ chains }: Pick<ModelPlan, 'chains'>, usdMax: number | null): void {
  if (usdMax === null) return
  const refs = Object.values(chains).flat()
  const unpriced = refs.find(({ price, provider }) => price === null && provider !== SCRIPTED && provider !== 'replay')
  if (unpriced === undefined) return
  const { provider, model, alias } = unpriced
  throw new UserError('E_PRICE_UNKNOWN', `a limit of money is set, the price of ${model} is unknown`, {
    where: `models.${alias}`,
    fix: `add "${provider}/${model}" = { input = USD, output = USD } under [pricing], or use --max-tokens`,
    exit: exitOf('E_PRICE_UNKNOWN'),
  })
}
