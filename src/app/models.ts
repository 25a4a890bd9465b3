/**
 * The models of a run, from the configuration to what answers: chosen and priced before a run is made, so that nothing is begun that cannot be paid or asked.
 *
 *   configuration, task, flags ──planModels──> chains ──the agents' inputs──> kept by the run
 *                                    '──names of providers──> keys, or E_CREDENTIALS_MISSING ──> clients
 *
 * A run that is resumed has its chains already; only its providers are made again, with the addresses and keys of today.
 */
import type { Credentials } from '../actors/credentials.ts'
import { createCredentials } from '../actors/credentials.ts'
import type { Providers } from '../actors/generating.ts'
import { type ModelChoice, type ModelPlan, planModels } from '../actors/models.ts'
import { providersOf } from '../actors/provider-factory.ts'
import { scripted } from '../actors/providers/scripted.ts'
import type { Task } from '../actors/task.ts'
import { exitOf } from '../catalogue.ts'
import type { Config } from '../config.ts'
import { UserError } from '../errors.ts'

const SCRIPTED = 'scripted'

/** Says something to the person who is at the door. */
export type Say = (note: string) => void

/** Where keys are: the environment, the keychain, a file in the home. */
export async function credentialsOf(config: Config, say: Say): Promise<Credentials> {
  const { providers } = config.settings()
  const [{ environmentKeys }, { keychain }, { keyFile }] = await Promise.all([
    import('../actors/credentials/environment.ts'),
    import('../actors/credentials/keychain.ts'),
    import('../actors/credentials/key-file.ts'),
  ])
  const file = `${config.home}/keys/keys.json`
  return createCredentials([
    environmentKeys(config.variable, (provider) => providers[provider]?.apiKeyEnv ?? null),
    keychain(say),
    keyFile(file, file),
  ])
}

/**
 * Which models each agent has.
 * @throws {UserError} `E_MODEL_UNKNOWN`, `E_CONFIG_INVALID`; `E_PRICE_UNKNOWN` where there is a limit of money and a model whose price nobody has said.
 */
export function planOf(config: Config, choice: ModelChoice, usdMax: number | null): ModelPlan {
  const plan = planModels(config.settings(), choice)
  const unpriced =
    usdMax === null
      ? undefined
      : Object.values(plan.chains)
          .flat()
          .find(({ price, provider }) => price === null && provider !== SCRIPTED)
  if (unpriced === undefined) return plan
  const { alias, provider, model } = unpriced
  throw new UserError('E_PRICE_UNKNOWN', `a money limit is set, the price of ${model} (\`${alias}\`) is unknown`, {
    where: 'budget.max_usd',
    fix: `give it in troupe.toml, [pricing] "${provider}/${model}" = { input = USD, output = USD }, or use --max-tokens`,
    exit: exitOf('E_PRICE_UNKNOWN'),
  })
}

export interface ProvidersOfRun {
  readonly config: Config
  readonly names: readonly string[]
  readonly task: Task
  readonly say: Say
  /** The seam of tapes. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/** What answers. @throws {UserError} `E_CREDENTIALS_MISSING` (4), `E_CONFIG_INVALID` (3). */
export async function openProviders({ config, names, task, say, fetch }: ProvidersOfRun): Promise<Providers> {
  const real = names.filter((name) => name !== SCRIPTED)
  const script = names.includes(SCRIPTED) ? { [SCRIPTED]: scripted(task.replies) } : {}
  if (real.length === 0) return script
  const credentials = await credentialsOf(config, say)
  return { ...(await providersOf(real, { settings: config.settings(), credentials, fetch })), ...script }
}
