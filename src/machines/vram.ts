/**
 * Memory of the graphics card as a plan (S9): which local models there are, what they need together, and which of them must take turns. And as a lease: may
 * a call that needs this model start while others are at work?
 *
 *   total 16 GB  =  reserve 2  +  14 free for models
 *   coder 10, reviewer 10 (the same model: once), writer 8  ->  18 needed, 14 free: coder and writer take turns
 *
 * A model that nobody is using makes room, the server throws it out. One that is in use does not.
 */
import type { Chain, ModelRef } from './models.ts'

/** What a local model counts of which nobody says how much it takes, GB. */
const VRAM_GB_DEFAULT = 8
/** Providers whose models run on this machine, also where nothing is said of their memory. */
const LOCAL_PROVIDERS = ['ollama']

/** A model in memory. `key`: provider and model, see {@link vramKey}. */
export interface Resident {
  readonly key: string
  readonly gb: number
}

export interface VramPlan {
  /** Distinct local models that agents ask first, with the aliases under which they do. */
  readonly models: readonly (Resident & { readonly aliases: readonly string[] })[]
  readonly neededGb: number
  readonly freeGb: number
  /** For people, one line each; none where everything fits. */
  readonly warnings: readonly string[]
}

/** One model in memory, whatever aliases it has. */
export const vramKey = ({ provider, model }: ModelRef): string => `${provider}/${model}`

/** What a model takes of the card, GB; null: it runs elsewhere. */
export const vramOf = ({ provider, vramGb }: ModelRef): number | null =>
  vramGb ?? (LOCAL_PROVIDERS.includes(provider) ? VRAM_GB_DEFAULT : null)

/** Compares what the agents' models need with what there is. Fallbacks are loaded only when they are needed, so each is looked at alone. */
export function vramPlan(
  chains: readonly Chain[],
  { totalGb, reserveGb }: { readonly totalGb: number; readonly reserveGb: number },
): VramPlan {
  const freeGb = Math.max(0, totalGb - reserveGb)
  const models = distinct(chains.flatMap((chain) => chain.slice(0, 1)))
  const neededGb = models.reduce((sum, { gb }) => sum + gb, 0)
  const all = distinct(chains.flat())
  return {
    models,
    neededGb,
    freeGb,
    warnings: [...together(models, neededGb, freeGb), ...tooLarge(all, freeGb), ...reloaded(chains.flat())],
  }
}

function distinct(refs: readonly ModelRef[]): VramPlan['models'] {
  const found = new Map<string, Resident & { aliases: string[] }>()
  for (const ref of refs) {
    const gb = vramOf(ref)
    if (gb === null) continue
    const known = found.get(vramKey(ref)) ?? { key: vramKey(ref), gb, aliases: [] }
    const aliases = known.aliases.includes(ref.alias) ? known.aliases : [...known.aliases, ref.alias]
    found.set(known.key, { key: known.key, gb: Math.max(known.gb, gb), aliases })
  }
  return [...found.values()]
}

function together(models: VramPlan['models'], neededGb: number, freeGb: number): readonly string[] {
  if (neededGb <= freeGb || models.length < 2) return []
  const names = listed(models.map(({ aliases }) => aliases[0] ?? ''))
  return [`${names} need ${gbWords(neededGb)} together, ${gbWords(freeGb)} are free for models; they take turns`]
}

const tooLarge = (models: VramPlan['models'], freeGb: number): readonly string[] =>
  models
    .filter(({ gb }) => gb > freeGb)
    .map(
      ({ gb, aliases }) =>
        `${listed(aliases)} needs ${gbWords(gb)} alone, ${gbWords(freeGb)} are free for models; it runs partly on the processor`,
    )

/** One model with two sizes of its window is loaded again at each change. */
function reloaded(refs: readonly ModelRef[]): readonly string[] {
  const local = refs.filter((ref) => vramOf(ref) !== null)
  return [...new Set(local.map(vramKey))].flatMap((key) => {
    const same = local.filter((ref) => vramKey(ref) === key)
    const sizes = [...new Set(same.map(({ contextTokens }) => contextTokens))]
    if (sizes.length < 2) return []
    const names = listed([...new Set(same.map(({ alias }) => alias))])
    return [`${names} use one model with windows of ${sizes.join(' and ')} tokens; it is loaded again at each change`]
  })
}

/**
 * May a call that needs `wanted` start now, and which idle models will the server throw out for it?
 * A model that is in use already is shared. One that is larger than everything starts where nobody else is at work: it would wait forever.
 * @param resident  models in memory, as far as is known; those in use too.
 * @param inUse     models of calls that are at work.
 */
export function fits(
  resident: readonly Resident[],
  inUse: readonly Resident[],
  wanted: Resident,
  freeGb: number,
): { readonly fits: boolean; readonly evicts: readonly string[] } {
  const used = byKey(inUse)
  if (used.has(wanted.key)) return { fits: true, evicts: [] }
  const usedGb = sum(used.values())
  if (used.size > 0 && usedGb + wanted.gb > freeGb) return { fits: false, evicts: [] }
  const idle = [...byKey(resident)].filter(([key]) => !used.has(key) && key !== wanted.key)
  let overGb = usedGb + wanted.gb + sum(idle.map(([, gb]) => gb)) - freeGb
  const evicts = idle.filter(([, gb]) => {
    const mustGo = overGb > 0
    if (mustGo) overGb -= gb
    return mustGo
  })
  return { fits: true, evicts: evicts.map(([key]) => key) }
}

const byKey = (models: readonly Resident[]): ReadonlyMap<string, number> => new Map(models.map(({ key, gb }) => [key, gb]))
const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0)
const gbWords = (gb: number): string => `${Math.round(gb * 10) / 10} GB`
const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
