/**
 * The shape that an answer must have, as each API takes it. Neither takes all of JSON Schema; what one cannot express is left out of its request, because
 * whoever asked checks the answer anyway.
 *
 *   anthropic   output_config.format   closed objects only; bounds become words       a map of any keys: nothing is sent
 *   openai      response_format        strict where all members are required and all objects closed; else as a wish
 */
import type { JSONOutputFormat } from '@anthropic-ai/sdk/resources/messages'
import type { ResponseFormatJSONSchema } from 'openai/resources/shared'
import type { Json } from '../../json.ts'

type Schema = { readonly [key: string]: unknown }

/** Words of JSON Schema that OpenAI refuses in strict mode. */
const NOT_STRICT = ['oneOf', 'allOf', 'not', 'if', 'patternProperties', 'propertyNames', 'default', 'prefixItems', 'minLength', 'maxLength']

/**
 * For Anthropic; null where nothing is asked, or it cannot be said.
 * @param close  the client's own transformation, which closes objects and writes bounds into descriptions.
 */
export function anthropicFormat(
  schema: Json,
  close: (schema: Record<string, unknown>) => Record<string, unknown>,
): JSONOutputFormat | null {
  if (!isSchema(schema) || below(schema).some(isMap)) return null
  try {
    return { type: 'json_schema', schema: close({ ...schema }) }
  } catch {
    // It has a part that says nothing about its type.
    return null
  }
}

/** For OpenAI and those that speak like it; null where nothing is asked. */
export function openaiFormat(schema: Json): ResponseFormatJSONSchema | null {
  if (!isSchema(schema)) return null
  const { $schema: _dialect, ...rest } = schema
  return { type: 'json_schema', json_schema: { name: 'answer', schema: rest, strict: below(rest).every(isStrict) } }
}

/** An object of any keys: closed, it could only be empty. */
const isMap = (schema: Schema): boolean =>
  schema['type'] === 'object' && schema['properties'] === undefined && schema['additionalProperties'] !== false

function isStrict(schema: Schema): boolean {
  if (NOT_STRICT.some((word) => word in schema)) return false
  const isTyped = ['type', 'enum', 'const', 'anyOf', '$ref'].some((word) => word in schema)
  if (schema['type'] !== 'object') return isTyped
  const names = Object.keys(isSchema(schema['properties']) ? schema['properties'] : {})
  const required: unknown = schema['required'] ?? []
  return schema['additionalProperties'] === false && Array.isArray(required) && names.every((name) => required.includes(name))
}

/** The schema and all schemas in it. */
function below(schema: Schema): readonly Schema[] {
  const maps = ['properties', '$defs', 'definitions'].flatMap((word) => (isSchema(schema[word]) ? Object.values(schema[word]) : []))
  const lists = ['anyOf', 'oneOf', 'allOf', 'prefixItems'].flatMap((word) => (Array.isArray(schema[word]) ? schema[word] : []))
  const parts: readonly unknown[] = [...maps, ...lists, schema['items'], schema['additionalProperties']]
  return [schema, ...parts.flatMap((part) => (isSchema(part) && Object.keys(part).length > 0 ? below(part) : isAny(part) ? [{}] : []))]
}

/** `{}` as a member: anything goes. */
const isAny = (part: unknown): boolean => isSchema(part) && Object.keys(part).length === 0

const isSchema = (value: unknown): value is Schema => typeof value === 'object' && value !== null && !Array.isArray(value)
