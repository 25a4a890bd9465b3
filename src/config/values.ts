/**
 * Values of the configuration, each with the words that say what is expected: they stand in errors and on the page of reference, so both are always true.
 * `default` is as a file would have it, before it becomes a plain number.
 */
import { z } from 'zod'
import { parseCount, parseDuration } from '../quantities.ts'

/** Longest duration: a year. */
const DURATION_MS_MAX = 365 * 86_400_000

/** Says what is expected of a value, once: {@link expectationOf}. */
export const expecting = <T extends z.ZodType>(schema: T, words: string): T => schema.meta({ expected: words })

/** What is expected at a schema, in words; undefined where nothing was said. */
export function expectationOf(schema: z.ZodType): string | undefined {
  const said = schema.meta()?.['expected']
  if (typeof said === 'string') return said
  const below = unwrapped(schema)
  return below === undefined ? undefined : expectationOf(below)
}

/** The schema inside a default, an option or a transformation; undefined where it is none of these. */
export function unwrapped(schema: z.ZodType): z.ZodType | undefined {
  const def = schema.def as { type: string; in?: z.ZodType; innerType?: z.ZodType }
  return def.type === 'pipe' ? def.in : def.innerType
}

const fits =
  <T>(read: (text: string) => T | null) =>
  (text: string, ctx: z.RefinementCtx): T => {
    const value = read(text)
    if (value !== null) return value
    ctx.addIssue({ code: 'custom', message: 'does not fit' })
    return z.NEVER
  }

/** Text that is not empty. */
export const text = expecting(z.string().trim().min(1), 'text')
/** Text or nothing: `""` is null. */
export const textOrNone = expecting(
  z.string().transform((value) => (value.trim() === '' ? null : value.trim())),
  'text, or ""',
)
export const flag = expecting(z.boolean(), 'true or false')

/** A duration within bounds, in milliseconds. */
export const duration = expecting(
  z.string().transform(fits((value) => within(parseDuration(value), 1))),
  'a duration with its unit, from 1ms to 365d',
)
/** The same, where `0s` has a meaning of its own. */
export const durationOrZero = expecting(
  z.string().transform(fits((value) => within(parseDuration(value), 0))),
  'a duration with its unit, from 0s to 365d',
)
/** `0s` is null: there is none. */
export const durationOrNone = expecting(
  durationOrZero.transform((ms) => (ms === 0 ? null : ms)),
  'a duration with its unit, at most 365d; 0s: none',
)
const within = (ms: number | null, leastMs: number): number | null => (ms === null || ms < leastMs || ms > DURATION_MS_MAX ? null : ms)

/** A whole number from `least` on, as a number or like `200k`. */
export const count = (least: number, most = Number.MAX_SAFE_INTEGER) =>
  expecting(
    z.union([z.number(), z.string()]).transform((value, ctx) => {
      const found = parseCount(String(value))
      if (found !== null && found >= least && found <= most) return found
      ctx.addIssue({ code: 'custom', message: 'does not fit' })
      return z.NEVER
    }),
    most === Number.MAX_SAFE_INTEGER ? `a whole number from ${least} on, like 200k` : `a whole number from ${least} to ${most}`,
  )
/** `0` is null: there is no limit. */
export const countOrNone = expecting(
  count(0).transform((value) => (value === 0 ? null : value)),
  'a whole number, like 200k; 0: no limit',
)

/** A number from `least` to `most`. */
export const number = (least: number, most = Number.POSITIVE_INFINITY) =>
  expecting(
    z.number().min(least).max(most),
    most === Number.POSITIVE_INFINITY ? `a number from ${least} on` : `a number from ${least} to ${most}`,
  )
/** Money; `0` is null: there is no limit. */
export const moneyOrNone = expecting(
  z
    .number()
    .min(0)
    .transform((value) => (value === 0 ? null : value)),
  'a number of USD from 0 on; 0: no limit',
)
/** More than 0, at most `most`. */
export const positive = (most: number, unit: string) =>
  expecting(z.number().gt(0).max(most), `a number of ${unit} above 0, at most ${most}`)

/** One of some words. */
export const oneOf = <const T extends readonly [string, ...string[]]>(...words: T) => expecting(z.enum(words), words.join(' | '))

const isAddress = (value: string): boolean => {
  const url = URL.canParse(value) ? new URL(value) : null
  return (
    url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' && url.search === '' && url.hash === ''
  )
}
const withoutSlash = (value: string): string => value.replace(/\/+$/, '')

/** An address of a server, without a password in it. */
export const address = expecting(z.string().refine(isAddress).transform(withoutSlash), 'an address like http://localhost:11434')
/** `""` is null: the provider's own. */
export const addressOrNone = expecting(
  z
    .string()
    .refine((value) => value === '' || isAddress(value))
    .transform((value) => (value === '' ? null : withoutSlash(value))),
  'an address like https://host/v1, or ""',
)
/** The name of an environment variable, never its value. `""` is null: the usual one. */
export const variableOrNone = expecting(
  z
    .string()
    .refine((value) => /^(?:[A-Za-z_][A-Za-z0-9_]{0,127})?$/.test(value))
    .transform((value) => (value === '' ? null : value)),
  'the name of an environment variable, like OPENROUTER_API_KEY, or ""',
)
/** What a table may be called: an alias, an agent, a provider. */
export const label = expecting(z.string().regex(/^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/), 'a name: letters, digits, _ . : -, a letter first')
