/**
 * Keys of the configuration from the environment: `TROUPE_` and the key, in capitals.
 *
 *   TROUPE_BUDGET_MAX_USD=5   TROUPE_MODELS_CODER_NUM_CTX=32k   TROUPE_OLLAMA_HOST=...   (keys of [general] do without its name)
 *
 * Names of their own that are no keys: TROUPE_HOME, TROUPE_PROJECT, and the tags of commands.
 */
import { nearest } from '../near.ts'
import type { Layer, Table } from './document.ts'
import { allKeys, type Key } from './keys.ts'

type Env = Readonly<Record<string, string | undefined>>
const PREFIX = 'TROUPE_'
/** Aliases and names as a variable has them: `openai-compatible` is `OPENAI_COMPATIBLE`. */
const capitals = (name: string): string => name.toUpperCase().replace(/[^A-Z0-9]/g, '_')

export interface FromEnvironment {
  readonly layer: Layer
  /** Variables that are nearly the name of a key, with that name. */
  readonly typos: readonly { readonly name: string; readonly near: string }[]
}

/** Reads the environment. @param data  what lies below it: the names of tables that people chose are taken from there. */
export function readEnvironment(env: Env, data: Table): FromEnvironment {
  const known = variables(data)
  const found = Object.entries(env).flatMap(([name, text]) => {
    if (!name.startsWith(PREFIX) || text === undefined || text === '') return []
    return [{ name, text, key: known.get(name) }]
  })
  const table: Record<string, unknown> = {}
  const names = new Map<string, string>()
  for (const { name, text, key } of found) {
    if (key === undefined) continue
    put(table, key.path, fromText(text, key))
    names.set(key.path.join('.'), name)
  }
  return {
    layer: {
      author: 'person',
      data: table,
      originOf: (path) => ({ author: 'person', where: `env ${names.get(path.map(String).join('.')) ?? PREFIX}`, evidence: [] }),
    },
    typos: found.flatMap(({ name, key }) => {
      const [near] = key === undefined ? nearest(name, [...known.keys()]).filter((each) => distanceIsSmall(name, each)) : []
      return near === undefined ? [] : [{ name, near }]
    }),
  }
}

/** Other programs and tests have variables that begin like ours: only what is very near is taken for a slip. */
const distanceIsSmall = (name: string, near: string): boolean =>
  Math.abs(name.length - near.length) <= 1 && name.slice(0, 10) === near.slice(0, 10)

/** The variable of each key, for the tables that there are. */
function variables(data: Table): ReadonlyMap<string, Key> {
  const entries = allKeys().flatMap((key) => {
    const [first = '', second, ...rest] = key.path
    const short = first === 'general' ? [[`${PREFIX}${capitals(second ?? '')}`, key] as const] : []
    if (second !== '*') return [[`${PREFIX}${key.path.map(capitals).join('_')}`, key] as const, ...short]
    return namesIn(data, first).map((name) => {
      const path = [first, name, ...rest]
      return [`${PREFIX}${path.map(capitals).join('_')}`, { ...key, path }] as const
    })
  })
  return new Map(entries)
}

const BUILT_IN: Readonly<Record<string, readonly string[]>> = {
  agents: ['orchestrator', 'coder', 'reviewer', 'optimizer', 'executor'],
  providers: ['ollama', 'anthropic', 'openai-compatible'],
}

function namesIn(data: Table, table: string): readonly string[] {
  const there = data[table]
  const names = typeof there === 'object' && there !== null ? Object.keys(there) : []
  return table === 'pricing' ? [] : [...new Set([...names, ...(BUILT_IN[table] ?? [])])]
}

/** A text as the value that the key expects: numbers and flags are recognised where text would not do, lists are words with commas. */
function fromText(text: string, { schema }: Key): unknown {
  const candidates: unknown[] = [text]
  if (/^-?\d+(?:\.\d+)?$/.test(text)) candidates.push(Number(text))
  if (/^(?:true|false)$/.test(text)) candidates.push(text === 'true')
  candidates.push(text.split(',').map((word) => word.trim()))
  return candidates.find((candidate) => schema.safeParse(candidate).success) ?? text
}

function put(table: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [first = '', ...rest] = path
  if (rest.length === 0) {
    table[first] = value
    return
  }
  const inner = (table[first] ?? {}) as Record<string, unknown>
  table[first] = inner
  put(inner, rest, value)
}
