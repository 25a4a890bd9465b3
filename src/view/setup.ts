/** Tables and objects of `troupe models` and `troupe auth`. */
import type { JsonObject } from '../json.ts'
import { bytes, count, printable } from './format.ts'
import type { Look, Tone } from './look.ts'
import { type Cell, type Column, tableLines } from './table.ts'

export interface KeyRow {
  readonly provider: string
  readonly state: 'ok' | 'missing' | 'rejected' | 'unchecked'
  readonly source: string | null
  /** `ends in w9Qk`: all that is ever shown of a key. */
  readonly shown: string | null
  /** Places that were looked at, where there is none. */
  readonly looked: string | null
}

/** `unloaded`: it is there, and not in memory. `missing`: the provider does not have it. */
export type ModelState = 'simulated' | 'ready' | 'loaded' | 'unloaded' | 'missing' | 'no_key' | 'rejected' | 'unreachable' | 'unchecked'

export interface ModelRow {
  readonly alias: string
  readonly provider: string
  readonly model: string
  /** That the model can take; null: its provider does not say. */
  readonly contextTokens: number | null
  readonly usedContextTokens: number
  readonly tools: string
  /** USD per million tokens; null: unknown. */
  readonly price: { readonly input: number; readonly output: number; readonly basis: 'priced' | 'local' } | null
  readonly state: ModelState
  readonly sizeBytes: number | null
}

const TONES: Readonly<Record<string, Tone>> = {
  ok: 'good',
  ready: 'good',
  loaded: 'good',
  rejected: 'bad',
  unreachable: 'bad',
  missing: 'attention',
  no_key: 'attention',
}
const toned = (state: string, text: string): Cell => {
  const tone = TONES[state]
  return tone === undefined ? { text } : { text, tone }
}

/** Lines of `auth status`. */
export function keyTable(rows: readonly KeyRow[], look: Look, tabs: boolean): readonly string[] {
  const columns: readonly Column[] = [{ title: 'PROVIDER' }, { title: 'STATE' }, { title: 'KEY', cut: 'end' }]
  return tableLines(
    columns,
    rows.map((row) => [{ text: row.provider }, toned(row.state, row.state), { text: keyWords(row) }]),
    look,
    tabs,
  )
}

function keyWords({ state, provider, source, shown, looked }: KeyRow): string {
  if (source === null) return `${looked ?? 'nowhere'}   troupe auth login ${provider}`
  const hint =
    state === 'rejected'
      ? `   the provider refused it: troupe auth login ${provider}`
      : state === 'unchecked'
        ? '   the provider could not be asked'
        : ''
  return `${source}, ${shown ?? ''}${hint}`
}

/** `troupe.auth/1`. */
export const keysObject = (rows: readonly KeyRow[]): JsonObject => ({
  schema: 'troupe.auth/1',
  type: 'result',
  items: rows.map(({ provider, state, source }) => ({ provider, state, source })),
  truncated: false,
})

/** Lines of `models`. */
export function modelTable(rows: readonly ModelRow[], look: Look, tabs: boolean): readonly string[] {
  const columns: readonly Column[] = [
    { title: 'ALIAS' },
    { title: 'PROVIDER' },
    { title: 'MODEL', cut: 'end' },
    { title: 'CONTEXT' },
    { title: 'TOOLS' },
    { title: 'PRICE PER M' },
    { title: 'STATE' },
  ]
  const cells = rows.map((row) => [
    { text: row.alias },
    { text: row.provider },
    { text: printable(row.model) },
    { text: contextWords(row) },
    { text: row.tools },
    { text: priceWords(row) },
    toned(row.state, stateWords(row)),
  ])
  return tableLines(columns, cells, look, tabs)
}

const contextWords = ({ contextTokens, usedContextTokens }: ModelRow): string =>
  contextTokens === null || contextTokens === usedContextTokens
    ? count(usedContextTokens)
    : `${count(usedContextTokens)} of ${count(contextTokens)}`

function priceWords({ price, state }: ModelRow): string {
  if (state === 'simulated') return 'simulated'
  if (price === null) return '$? (unknown)'
  return price.basis === 'local' ? 'local' : `$${price.input} in, $${price.output} out`
}

const WORDS: Readonly<Record<ModelState, string>> = {
  simulated: 'simulated',
  ready: 'ready',
  loaded: 'loaded',
  unloaded: 'not loaded',
  missing: 'its provider does not have it',
  no_key: 'no key: troupe auth login',
  rejected: 'the key was refused',
  unreachable: 'not reachable',
  unchecked: 'unchecked',
}
const stateWords = ({ state, sizeBytes, provider }: ModelRow): string =>
  state === 'loaded' && sizeBytes !== null
    ? `loaded, ${bytes(sizeBytes)}`
    : state === 'no_key'
      ? `${WORDS[state]} ${provider}`
      : WORDS[state]

/** `troupe.models/1`. */
export const modelsObject = (rows: readonly ModelRow[]): JsonObject => ({
  schema: 'troupe.models/1',
  type: 'result',
  items: rows.map(({ alias, provider, model, contextTokens, usedContextTokens, tools, price, state }) => ({
    alias,
    provider,
    model,
    contextTokens,
    usedContextTokens,
    tools,
    inputUsdPerMTok: price?.input ?? null,
    outputUsdPerMTok: price?.output ?? null,
    priceBasis: price?.basis ?? null,
    state,
  })),
  truncated: false,
})
