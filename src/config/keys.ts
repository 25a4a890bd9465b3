/**
 * The keys of the configuration, read from its schema: for suggestions, for the names of environment variables, for the page of reference.
 * `*` stands for a name that people choose: an alias, an agent, a provider, a pattern.
 */
import type { z } from 'zod'
import { GENERAL_KEYS, LATER, schema } from './schema.ts'
import { expectationOf, unwrapped } from './values.ts'

export interface Key {
  readonly path: readonly string[]
  /** What is expected, in words. */
  readonly expected: string
  /** As a file would have it; undefined where there is none. */
  readonly fallback: unknown
  /** What a value from the environment becomes: its text may be a number, a list of words, or stay text. */
  readonly schema: z.ZodType
}

interface Def {
  readonly type: string
  readonly shape?: Readonly<Record<string, z.ZodType>>
  readonly valueType?: z.ZodType
  readonly element?: z.ZodType
}

/** The schema behind defaults, options and transformations. */
function core(schema: z.ZodType): z.ZodType {
  const below = unwrapped(schema)
  return below === undefined ? schema : core(below)
}
const defOf = (schema: z.ZodType): Def => core(schema).def as unknown as Def

/** The schema at a path of a file; undefined where there is none. Stops at lists, and at what is not looked into. */
export function schemaAt(path: readonly PropertyKey[]): z.ZodType {
  let at: z.ZodType = schema
  for (const part of path) {
    const { shape, valueType } = defOf(at)
    const next = shape?.[String(part)] ?? valueType
    if (next === undefined) return at
    at = next
  }
  return at
}

/** The keys of a table; empty where they are chosen by people. */
export const keysAt = (path: readonly PropertyKey[]): readonly string[] => [
  ...Object.keys(defOf(schemaAt(path)).shape ?? {}),
  ...(path.length === 0 ? GENERAL_KEYS : []),
]

/** All keys that this version acts upon. */
export function allKeys(): readonly Key[] {
  return below(schema, []).filter(({ path }) => LATER[path[0] ?? ''] === undefined)
}

function below(schema: z.ZodType, path: readonly string[]): readonly Key[] {
  const { shape, valueType } = defOf(schema)
  if (shape !== undefined) return Object.entries(shape).flatMap(([key, member]) => below(member, [...path, key]))
  if (valueType !== undefined) return below(valueType, [...path, '*'])
  return [{ path, expected: expectationOf(schema) ?? 'a value', fallback: fallbackOf(schema), schema }]
}

function fallbackOf(schema: z.ZodType): unknown {
  const def = schema.def as { type: string; defaultValue?: unknown }
  return def.type === 'prefault' || def.type === 'default' ? def.defaultValue : undefined
}
