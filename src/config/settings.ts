/**
 * The configuration as one: files, one above the other, then the environment, checked against the schema.
 *
 *   defaults  <  ~/.troupe/config.toml  <  ./troupe.toml, or --config  <  TROUPE_*
 *                 '--------- tables are joined key by key, lists and values replaced ---------'
 *
 * A key that is not known is a warning with a suggestion, a value that does not fit one error with its place (S8). Flags are above all of it, at the verbs.
 */
import type { z } from 'zod'
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import { isLoopback } from '../loopback.ts'
import { nearest } from '../near.ts'
import { redacted } from '../secrets.ts'
import type { Layer, Origin, Table } from './document.ts'
import { readEnvironment } from './environment.ts'
import { keysAt, namesExpectedAt, schemaAt } from './keys.ts'
import { refuseSecrets } from './leaks.ts'
import { GENERAL_KEYS, schema } from './schema.ts'
import { expectationOf } from './values.ts'

/** What is wrong and does no harm. Its code is `E_CONFIG_UNKNOWN_KEY`. */
interface ConfigWarning {
  readonly code: string
  readonly where: string
  readonly message: string
}

/** All tables, checked, in plain numbers. Limits that are not set are null. */
export interface Settings extends z.output<typeof schema> {
  readonly warnings: readonly ConfigWarning[]
  /** Where a key was said; null where its default holds. `['models', 'coder']`. */
  originOf(path: readonly string[]): Origin | null
}

type Path = readonly PropertyKey[]
type Issue = z.core.$ZodIssue

/**
 * Puts the layers together. @param layers  the lowest first, as files have them.
 * @throws {UserError} `E_CONFIG_INVALID`, `E_SECRET_IN_CONFIG`, both exit 3.
 */
export function settle(layers: readonly Layer[], env: Readonly<Record<string, string | undefined>>): Settings {
  for (const layer of layers) refuseSecrets(layer)
  const files = layers.map(withGeneral)
  const below = files.reduce<Table>((data, layer) => joined(data, layer.data), {})
  const { layer, typos } = readEnvironment(env, below)
  refuseSecrets(layer)
  const all = [...files, layer]
  const originOf = (path: Path): Origin | null => all.findLast(({ data }) => has(data, path))?.originOf(path) ?? null
  const unknown = all.flatMap((each) => unknownKeys(each))
  const data = all.reduce<Table>((lower, each) => joined(lower, without(each.data, each, unknown)), {})
  const parsed = schema.safeParse(data)
  if (!parsed.success) throw invalid(parsed.error.issues[0]!, data, originOf)
  for (const name of Object.keys(parsed.data.providers)) {
    refuseAddress(name, parsed.data.providers[name]!.baseUrl, originOf)
    refuseVariable(name, parsed.data.providers[name]!.apiKeyEnv, originOf)
  }
  const warnings = [...unknown.map(warningOf), ...typos.map(typo), ...nearTeam(all)]
  return { ...parsed.data, warnings, originOf }
}

/** Keys of `[general]` may stand at the top of a file (S7); not in both places. */
function withGeneral(layer: Layer): Layer {
  const given = Object.keys(layer.data).filter((key) => GENERAL_KEYS.includes(key))
  if (given.length === 0) return layer
  const general = isTable(layer.data['general']) ? layer.data['general'] : {}
  const twice = given.find((key) => key in general)
  if (twice !== undefined) throw problem(`${twice}: it is here and in [general]`, layer.originOf([twice]), 'leave one of them out')
  const moved = Object.fromEntries(given.map((key) => [key, layer.data[key]]))
  const rest = Object.fromEntries(Object.entries(layer.data).filter(([key]) => !given.includes(key)))
  const isMoved = ([first, second]: Path): boolean => first === 'general' && given.includes(String(second))
  return {
    author: layer.author,
    data: { ...rest, general: { ...general, ...moved } },
    originOf: (path) => layer.originOf(isMoved(path) ? path.slice(1) : path),
  }
}

const isTable = (value: unknown): value is Table => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Two tables key by key, the second above the first. */
function joined(lower: Table, upper: Table): Table {
  const both = Object.entries(upper).map(([key, value]) => {
    const below = Object.hasOwn(lower, key) ? lower[key] : undefined
    return [key, isTable(value) && isTable(below) ? joined(below, value) : value] as const
  })
  return { ...lower, ...Object.fromEntries(both) }
}

function has(data: unknown, path: Path): boolean {
  const [first, ...rest] = path
  if (first === undefined) return true
  return typeof data === 'object' && data !== null && Object.hasOwn(data, first) && has((data as Record<PropertyKey, unknown>)[first], rest)
}

interface UnknownKey {
  readonly layer: Layer
  readonly path: Path
}

/** Keys that no table has. */
function unknownKeys(layer: Layer): readonly UnknownKey[] {
  const { error } = schema.safeParse(layer.data)
  return (error?.issues ?? []).flatMap((issue) => {
    return issue.code === 'unrecognized_keys' ? issue.keys.map((key) => ({ layer, path: [...issue.path, key] })) : []
  })
}

function without(data: Table, layer: Layer, unknown: readonly UnknownKey[], at: Path = []): Table {
  const isUnknown = (path: Path) => unknown.some((each) => each.layer === layer && each.path.join('\0') === path.join('\0'))
  const kept = Object.entries(data).filter(([key]) => !isUnknown([...at, key]))
  return Object.fromEntries(kept.map(([key, value]) => [key, isTable(value) ? without(value, layer, unknown, [...at, key]) : value]))
}

function warningOf({ layer, path }: UnknownKey): ConfigWarning {
  const key = String(path.at(-1))
  const table = path.slice(0, -1)
  const [near] = nearest(key, keysAt(table))
  const words = `unknown key \`${key}\`${table.length === 0 ? '' : ` in [${table.join('.')}]`}; it is not read`
  const hint = near === undefined ? '' : `; did you mean \`${near}\`?`
  return { code: 'E_CONFIG_UNKNOWN_KEY', where: layer.originOf(path).where, message: redacted(`${words}${hint}`) }
}

const typo = ({ name, near }: { name: string; near: string }): ConfigWarning => ({
  code: 'E_CONFIG_UNKNOWN_KEY',
  where: `env ${name}`,
  message: `no key has this name, it is not read; did you mean \`${near}\`?`,
})

const TEAM = ['orchestrator', 'coder', 'reviewer', 'optimizer', 'executor']

/** Agents may have any name, so a slip in one of the team's is no unknown key. */
function nearTeam(layers: readonly Layer[]): readonly ConfigWarning[] {
  return layers.flatMap((layer) => {
    const names = isTable(layer.data['agents']) ? Object.keys(layer.data['agents']) : []
    return names.flatMap((name) => {
      const [near] = TEAM.includes(name) ? [] : nearest(name, TEAM)
      if (near === undefined) return []
      const message = `the team has no agent \`${name}\`; did you mean \`${near}\`?`
      return [{ code: 'E_CONFIG_UNKNOWN_KEY', where: layer.originOf(['agents', name]).where, message }]
    })
  })
}

/**
 * A repository that somebody else wrote must not decide where one's key is sent. Ollama gets no key, and what is on this machine is one's own.
 */
function refuseAddress(name: string, baseUrl: string | null, originOf: (path: Path) => Origin | null): void {
  if (baseUrl === null || name === 'ollama' || isLoopback(baseUrl)) return
  const path = ['providers', name, 'base_url']
  const origin = originOf(path)
  if (origin?.author !== 'project') return
  const fix = 'move that line to ~/.troupe/config.toml, where only you write'
  throw problem(`${path.join('.')}: the file of a project cannot say to which host your key is sent`, origin, fix)
}

/** Nor which variable is sent as a key: any of the person's could be named there, and an address of this machine may be anybody's server. */
function refuseVariable(name: string, variable: string | null, originOf: (path: Path) => Origin | null): void {
  const path = ['providers', name, 'api_key_env']
  const origin = originOf(path)
  if (variable === null || origin?.author !== 'project') return
  const fix = 'move that line to ~/.troupe/config.toml, where only you write'
  throw problem(`${path.join('.')}: the file of a project cannot say which variable is your key`, origin, fix)
}

function invalid(issue: Issue, data: Table, originOf: (path: Path) => Origin | null): UserError {
  const path = issue.path
  const isKey = issue.code === 'invalid_key'
  const wanted = isKey ? namesExpectedAt(path.slice(0, -1)) : (expectationOf(schemaAt(path)) ?? 'a table')
  const got = isKey ? `\`${String(path.at(-1))}\`` : show(valueAt(data, path))
  const name = isKey ? path.slice(0, -1) : path
  const origin = originOf(path) ?? originOf(path.slice(0, -1)) ?? originOf(path.slice(0, 1))
  return problem(redacted(`${name.join('.') || 'the file'}: expected ${wanted}, got ${got}`), origin, 'mend that line')
}

function problem(message: string, origin: Origin | null, fix: string): UserError {
  const { where, evidence, author: _, ...place } = origin ?? { where: 'config', evidence: [], author: 'person' }
  return new UserError('E_CONFIG_INVALID', message, { where, fix, exit: exitOf('E_CONFIG_INVALID'), evidence, ...place })
}

function valueAt(data: unknown, [first, ...rest]: Path): unknown {
  if (first === undefined || typeof data !== 'object' || data === null) return first === undefined ? data : undefined
  return valueAt((data as Record<PropertyKey, unknown>)[first], rest)
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'number') return String(value)
  const text = JSON.stringify(value) ?? String(value)
  return text.length <= 60 ? text : `${text.slice(0, 57).toWellFormed()}...`
}
