/**
 * `troupe models`: the models of the configuration, with what is known of each. Providers are asked where they can be reached within 2 s; no model is called.
 */
import { type Credentials } from '../actors/credentials.ts'
import { contextTokensOf, priceOf } from '../actors/model-settings.ts'
import { planModels } from '../actors/models.ts'
import type { OfferedModel } from '../actors/provider.ts'
import { providerOf } from '../actors/provider-factory.ts'
import { placeOf } from '../actors/provider-places.ts'
import { Failure } from '../effect.ts'
import { UserError } from '../errors.ts'
import { vramPlan } from '../machines/vram.ts'
import { type ModelRow, type ModelState, modelsObject, modelTable } from '../view/setup.ts'
import type { Context } from './context.ts'
import { within } from './probe.ts'
import { credentialsOf, settingsOf } from './settings.ts'

type Settings = ReturnType<typeof settingsOf>
/** What a provider said: its models, or why it said nothing. */
type Said = readonly OfferedModel[] | Extract<ModelState, 'no_key' | 'rejected' | 'unreachable' | 'simulated' | 'unchecked'>

/** Exit 0: a provider that is away is an answer. @throws {UserError} `E_CONFIG_INVALID`, `E_SECRET_IN_CONFIG` (3). */
export async function models(context: Context): Promise<number> {
  const { io, config, flags } = context
  const settings = settingsOf(context)
  const aliases = Object.keys(settings.models)
  const names = [...new Set(aliases.map((alias) => settings.models[alias]!.provider))]
  for (const alias of aliases) placeOf(settings, settings.models[alias]!.provider, settings.originOf(['models', alias, 'provider'])?.where)
  const credentials = credentialsOf(context, settings)
  const said = new Map(await Promise.all(names.map(async (name) => [name, await ask(settings, credentials, name)] as const)))
  const rows = aliases.map((alias) => rowOf(settings, alias, said))
  if (flags.json || flags.jsonl) io.json(modelsObject(rows))
  else for (const line of modelTable(rows, io.outLook, !config.stdout.terminal)) io.out(line)
  if (flags.quiet) return 0
  if (rows.length === 0) io.err('note: no model is configured; replies are scripted (simulated). Add [models] to troupe.toml, see docs/reference/configuration.md')
  else for (const warning of vramWarnings(settings)) io.err(`${io.errLook.paint('attention', 'warning')} vram  ${warning}`)
  return 0
}

function vramWarnings(settings: Settings): readonly string[] {
  const { totalVramGb, reserveVramGb } = settings.general
  const { chains } = planModels(settings)
  return vramPlan(Object.values(chains), { totalGb: totalVramGb, reserveGb: reserveVramGb }).warnings
}

async function ask(settings: Settings, credentials: Credentials, name: string): Promise<Said> {
  const place = placeOf(settings, name)
  if (place.kind === 'scripted' || place.kind === 'replay') return 'simulated'
  try {
    const found = place.key === 'none' ? null : await credentials.find(name)
    if (found === null && place.key === 'needed') return 'no_key'
    const provider = await providerOf(place, found)
    return provider.models === undefined ? 'unchecked' : await within((signal) => provider.models!(signal))
  } catch (error) {
    if (error instanceof UserError) throw error
    return error instanceof Failure && error.code === 'E_CREDENTIALS_REJECTED' ? 'rejected' : 'unreachable'
  }
}

function rowOf(settings: Settings, alias: string, said: ReadonlyMap<string, Said>): ModelRow {
  const entry = settings.models[alias]!
  const answer = said.get(entry.provider) ?? 'unchecked'
  const offered = typeof answer === 'string' ? undefined : answer.find(({ model }) => isSame(model, entry.model))
  return {
    alias,
    provider: entry.provider,
    model: entry.model,
    contextTokens: offered?.contextTokens ?? null,
    usedContextTokens: contextTokensOf(entry),
    tools: entry.tools,
    price: priceOf(settings, entry.provider, entry.model),
    state: typeof answer === 'string' ? answer : stateOf(offered),
    sizeBytes: offered?.sizeBytes ?? null,
  }
}

/** Ollama means `qwen3:latest` by `qwen3`. */
const isSame = (offered: string, wanted: string): boolean => offered === wanted || offered === `${wanted}:latest`

function stateOf(offered: OfferedModel | undefined): ModelState {
  if (offered === undefined) return 'missing'
  return offered.loaded === null ? 'ready' : offered.loaded ? 'loaded' : 'unloaded'
}
