/**
 * Tool calls that weak local models say as text, where their server found none (P20). Pure, strict, and it never invents: what is not a whole call of a tool
 * that was offered stays text, letter by letter.
 *
 *   {"name":"read","arguments":{"path":"a.ts"}}                          bare, on lines of its own; `parameters` and `args` are read too
 *   ```json ... ```                                                       the same in a fence; a list of calls is several
 *   <tool_call>{...}</tool_call>                                          in tags; the end tag may be missing, models stop there
 *   <function=read><parameter=path>a.ts</parameter></function>            XML of Qwen's coders; values by the types of the tool's schema
 *
 * A call that is quoted is none: inside a sentence, inside other JSON, or in a fence of another language. After an unclosed brace nothing bare is believed:
 * the answer was cut; after 16 beginnings in tags that were no call the rest is text. So a hostile text costs no more than a few looks at each letter.
 */
import { assertJson, type Json, type JsonObject } from '../../json.ts'
import type { ToolOffer } from '../provider.ts'
import { jsonEnd } from './json-end.ts'

/** A call as a model said it. Its arguments are plain JSON; whether they fit the tool is not looked at. */
export interface SaidCall {
  readonly name: string
  readonly args: JsonObject
}

export interface Salvaged {
  /** The text without the calls; the very text where there are none. */
  readonly content: string
  readonly calls: readonly SaidCall[]
}

/** Something that may be a call: what it holds and where it ends. No calls: it is passed over whole. */
interface Found {
  readonly calls: readonly SaidCall[]
  readonly end: number
}

const MARKS = /<tool_call>|<function=|^[ \t]*```|[{[]/gm
const FRUITLESS_MAX = 16
const FENCES: readonly string[] = ['', 'json', 'tool_call', 'tool_calls', 'tool', 'xml']
const ARGUMENTS = ['arguments', 'parameters', 'args']
const BESIDE: ReadonlySet<string> = new Set(['name', 'id', 'type', ...ARGUMENTS])

/** Takes the calls of these tools out of a text. */
export function salvage(text: string, tools: readonly ToolOffer[]): Salvaged {
  const calls: SaidCall[] = []
  const kept: string[] = []
  let from = 0
  let at = 0
  let isCut = false
  let fruitless = 0
  for (;;) {
    MARKS.lastIndex = at
    const mark = MARKS.exec(text)
    if (mark === null || fruitless > FRUITLESS_MAX) break
    const isBare = mark[0] === '{' || mark[0] === '['
    const isRead = !isBare || (!isCut && startsLine(text, mark.index, from))
    const found = isRead ? read(text, mark, tools) : null
    if (isRead && found === null) {
      if (isBare) isCut = true
      else fruitless++
    }
    if (found !== null && found.calls.length > 0) {
      kept.push(text.slice(from, mark.index))
      calls.push(...found.calls)
      from = found.end
    }
    at = Math.max(found?.end ?? 0, mark.index + mark[0].length)
  }
  return calls.length === 0 ? { content: text, calls } : { content: [...kept, text.slice(from)].join('').trim(), calls }
}

/** Is there nothing before it on its line, or only the call before? */
function startsLine(text: string, index: number, from: number): boolean {
  let before = index
  while (before > from && (text[before - 1] === ' ' || text[before - 1] === '\t')) before--
  return before === from || text[before - 1] === '\n'
}

/** Null: it does not end, or it is nothing of that kind. */
function read(text: string, mark: RegExpExecArray, tools: readonly ToolOffer[]): Found | null {
  const start = mark.index
  if (mark[0] === '<tool_call>') return tagged(text, start, tools)
  if (mark[0] === '<function=') return functionAt(text, start, tools)
  return mark[0].endsWith('```') ? fenced(text, start + mark[0].length, tools) : bare(text, start, tools)
}

/** JSON on lines of its own. What is JSON and no call is passed over with all that is in it. */
function bare(text: string, start: number, tools: readonly ToolOffer[]): Found | null {
  const end = jsonEnd(text, start)
  if (end === null) return null
  LINE_END.lastIndex = end
  return { calls: LINE_END.test(text) ? callsOf(text.slice(start, end), tools) : [], end }
}
/** The end of a line, or the next call on it. */
const LINE_END = /[ \t\r]{0,80}(?:$|[\n{[<])/y

function fenced(text: string, afterTicks: number, tools: readonly ToolOffer[]): Found {
  const line = text.indexOf('\n', afterTicks)
  const bodyAt = line === -1 ? text.length : line + 1
  CLOSING.lastIndex = Math.max(afterTicks, bodyAt - 1)
  const closing = CLOSING.exec(text)
  const [bodyEnd, end] = closing === null ? [text.length, text.length] : [closing.index, CLOSING.lastIndex]
  const isKnown = FENCES.includes(text.slice(afterTicks, bodyAt).trim().toLowerCase())
  return { calls: isKnown ? wholly(text.slice(bodyAt, Math.max(bodyAt, bodyEnd)), tools) : [], end }
}
const CLOSING = /\n[ \t]*```[ \t]*(?=\r?\n|$)/g

/** The calls of a text that is nothing but calls, in any form but a fence; else none. */
function wholly(text: string, tools: readonly ToolOffer[]): readonly SaidCall[] {
  const calls: SaidCall[] = []
  let at = text.length - text.trimStart().length
  while (at < text.length) {
    const found = text.startsWith('<tool_call>', at) ? tagged(text, at, tools) : functionAt(text, at, tools)
    const end = found?.end ?? jsonEnd(text, at)
    const said = found?.calls ?? (end === null ? [] : callsOf(text.slice(at, end), tools))
    if (end === null || said.length === 0) return []
    calls.push(...said)
    at = end + (/^[\s,;]*/.exec(text.slice(end))?.[0].length ?? 0)
  }
  return calls
}

/** `<tool_call>` with JSON or a function in it, up to its end tag, the next call or the end of the text. */
function tagged(text: string, start: number, tools: readonly ToolOffer[]): Found | null {
  SPACE.lastIndex = start + '<tool_call>'.length
  SPACE.test(text)
  const at = SPACE.lastIndex
  const end = text.startsWith('<function=', at) ? (functionAt(text, at, tools)?.end ?? null) : jsonEnd(text, at)
  if (end === null) return null
  TAG_END.lastIndex = end
  if (!TAG_END.test(text)) return null
  const closed = TAG_END.lastIndex
  const calls = text[at] === '<' ? (functionAt(text, at, tools)?.calls ?? []) : callsOf(text.slice(at, end), tools)
  return { calls, end: closed }
}
const SPACE = /\s{0,80}/y
const TAG_END = /\s{0,80}(?:<\/tool_call>|(?=<tool_call>)|$)/y

/** `<function=name>` with its parameters, and nothing between them. */
function functionAt(text: string, start: number, tools: readonly ToolOffer[]): Found | null {
  OPENING.lastIndex = start
  const name = OPENING.exec(text)?.[1]
  const tool = tools.find((offer) => offer.name === name)
  if (tool === undefined) return null
  const args: Record<string, Json> = {}
  for (let at = OPENING.lastIndex; ; ) {
    PARAMETER.lastIndex = at
    const parameter = PARAMETER.exec(text)
    if (parameter === null) {
      ENDING.lastIndex = at
      return ENDING.test(text) ? { calls: [{ name: tool.name, args }], end: ENDING.lastIndex } : null
    }
    const key = parameter[1] ?? ''
    const end = text.indexOf('</parameter>', PARAMETER.lastIndex)
    const value = end === -1 ? undefined : typedValue(tool, key, text.slice(PARAMETER.lastIndex, end))
    if (value === undefined || Object.hasOwn(args, key)) return null
    Object.defineProperty(args, key, { value, enumerable: true, writable: true, configurable: true })
    at = end + '</parameter>'.length
  }
}
const OPENING = /<function=([\w.-]{1,64})>/y
const PARAMETER = /\s{0,80}<parameter=([\w.-]{1,64})>/y
const ENDING = /\s{0,80}<\/function>/y

/** By the type that the schema of the tool gives: text as it stands, without the line breaks around it; anything else as JSON. */
function typedValue(tool: ToolOffer, key: string, text: string): Json | undefined {
  const { properties } = (tool.input ?? {}) as { properties?: { [name: string]: { type?: unknown } } }
  const type = properties?.[key]?.type ?? 'string'
  return type === 'string' ? text.replace(/^\r?\n/, '').replace(/\r?\n$/, '') : storable(parsed(text))
}

/** The calls that a JSON text is: one, or a list of nothing else. */
function callsOf(text: string, tools: readonly ToolOffer[]): readonly SaidCall[] {
  const value = parsed(text)
  const said = (Array.isArray(value) ? value : [value]).map((one) => callOf(one, tools))
  return said.every((call) => call !== null) ? said : []
}

function callOf(value: unknown, tools: readonly ToolOffer[]): SaidCall | null {
  if (!isObject(value)) return null
  if (isObject(value['function']) && Object.keys(value).every((key) => ['function', 'id', 'type'].includes(key)))
    return callOf(value['function'], tools)
  const { name } = value
  const keys = ARGUMENTS.filter((key) => Object.hasOwn(value, key))
  if (typeof name !== 'string' || !tools.some((tool) => tool.name === name)) return null
  if (keys.length !== 1 || !Object.keys(value).every((key) => BESIDE.has(key))) return null
  const given = value[keys[0] ?? '']
  const args = storable(typeof given === 'string' ? parsed(given) : given)
  return isObject(args) ? { name, args: args as JsonObject } : null
}

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Undefined for what cannot be stored as it is: see json.ts. */
export function storable(value: unknown): Json | undefined {
  try {
    assertJson(value, 'arguments')
    return value
  } catch {
    return undefined
  }
}
