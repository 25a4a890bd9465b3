/**
 * Tool calls that go in circles (P4, P5). A call is the same again where tool, normalised arguments, result and workspace are; whether it succeeds does not matter.
 *
 *   judgeToolCall      before it: allow | block (it is not performed, the model is told) | escalate (the actor's life ends)
 *   settleToolCall     after it: how often it was the same; from the second time on the model is nudged
 *
 *      1st            2nd              3rd                4th
 *   performed    performed + nudge    blocked    escalated: cannot be approved away
 *
 * The memory is plain JSON of less than 4 kB: the last 16 calls, so loops over several calls are seen too. A change of the workspace makes every call a new one.
 * Polling is exempt (it is the same on purpose) and has a deadline instead: no clock is read here, whoever keeps the memory says {@link pollingExpired}.
 */
import type { Json } from '../json.ts'
import { canonical, normalised, shortHash } from './fingerprint.ts'
import type { Loop } from './loops.ts'

const CALLS_KEPT = 16

export interface ToolLoopOptions {
  /** Names of tools, or what they do (`npm run wait*`, `read status*`), with `*` for anything. Default none. */
  readonly polling?: readonly string[] | undefined
  /** The how manieth same call is answered with a nudge, blocked, escalated. Default 2, 3, 4. */
  readonly nudgeAt?: number | undefined
  readonly blockAt?: number | undefined
  readonly escalateAt?: number | undefined
}

/** A call as far as it is compared: hashes of 16 digits. `before`, `after`: the workspace around it. */
interface Known {
  readonly call: string
  readonly result: string
  readonly before: string
  readonly after: string
  readonly count: number
}

export interface ToolMemory {
  /** The newest last. */
  readonly calls: readonly Known[]
  /** Since when it polls is known to whoever keeps the time. `refused`: polls after the deadline. Null: it does not poll. */
  readonly polling: { readonly expired: boolean; readonly refused: number } | null
}

/** Nothing was called yet. */
export const NO_CALLS: ToolMemory = { calls: [], polling: null }

export interface Call {
  readonly name: string
  readonly args: { readonly [name: string]: Json }
}

export type Judgement =
  | { readonly verdict: 'allow'; readonly polls: boolean }
  | { readonly verdict: 'block' | 'escalate'; readonly loop: Loop }

/** May this call be performed? Nothing is remembered; a call that is blocked goes to {@link blockToolCall}. */
export function judgeToolCall(memory: ToolMemory, call: Call, workspace: string, options: ToolLoopOptions = {}): Judgement {
  if (isPolling(call, options.polling ?? [])) return judgePoll(memory, call)
  const { blockAt = 3, escalateAt = 4 } = options
  const known = find(memory, callHash(call))
  const place = shortHash(workspace)
  const count = known === undefined || (place !== known.after && place !== known.before) ? 1 : known.count + 1
  if (count < Math.min(blockAt, escalateAt)) return { verdict: 'allow', polls: false }
  return { verdict: count >= escalateAt ? 'escalate' : 'block', loop: { kind: 'tool', signature: signatureOf(known!), count } }
}

function judgePoll({ polling }: ToolMemory, call: Call): Judgement {
  if (polling === null || !polling.expired) return { verdict: 'allow', polls: true }
  const loop: Loop = { kind: 'polling', signature: callHash(call), count: polling.refused + 1 }
  return { verdict: polling.refused === 0 ? 'block' : 'escalate', loop }
}

/** The memory after a call that was blocked: it counts, though it was not performed. */
export function blockToolCall(memory: ToolMemory, call: Call, options: ToolLoopOptions = {}): ToolMemory {
  const { polling } = memory
  if (polling !== null && isPolling(call, options.polling ?? []))
    return { ...memory, polling: { ...polling, refused: polling.refused + 1 } }
  const known = find(memory, callHash(call))
  return known === undefined ? memory : { ...memory, calls: kept(memory, { ...known, count: known.count + 1 }) }
}

/** What a call led to. Workspaces are any texts that differ when they do. */
export interface Settled {
  readonly before: string
  readonly after: string
  readonly result: string
}

/** The memory after a call. `progress`: it polled and what it saw was new, so its deadline starts again. */
export function settleToolCall(
  memory: ToolMemory,
  call: Call,
  settled: Settled,
  options: ToolLoopOptions = {},
): { readonly memory: ToolMemory; readonly nudge: Loop | null; readonly progress: boolean } {
  const known = find(memory, callHash(call))
  const now = {
    call: callHash(call),
    result: shortHash(normalised(settled.result)),
    before: shortHash(settled.before),
    after: shortHash(settled.after),
  }
  const same = known !== undefined && known.result === now.result && known.after === now.after
  const polls = isPolling(call, options.polling ?? [])
  const entry: Known = { ...now, count: same && !polls ? known.count + 1 : 1 }
  const polling = polls ? (memory.polling ?? { expired: false, refused: 0 }) : now.before === now.after ? memory.polling : null
  const progress = polls && known !== undefined && !same
  const nudge: Loop | null =
    entry.count >= (options.nudgeAt ?? 2) ? { kind: 'tool', signature: signatureOf(entry), count: entry.count } : null
  return { memory: { calls: kept(memory, entry), polling: progress ? { expired: false, refused: 0 } : polling }, nudge, progress }
}

/** The deadline of polling has passed. */
export const pollingExpired = (memory: ToolMemory): ToolMemory =>
  memory.polling === null ? memory : { ...memory, polling: { expired: true, refused: 0 } }

/** Is this call one that is the same on purpose? By the name of its tool, its command, or both. */
export function isPolling(call: Call, patterns: readonly string[]): boolean {
  const doing = [call.name, commandOf(call), `${call.name} ${commandOf(call)}`.trim()]
  return patterns.some((pattern) => doing.some((text) => matches(text, pattern)))
}

function commandOf({ args }: Call): string {
  const said = args['command'] ?? args['run'] ?? args['path']
  return typeof said === 'string' ? tidy(said) : ''
}

/** `*` stands for anything. Found piece by piece, so that no pattern takes long. */
function matches(text: string, pattern: string): boolean {
  const pieces = tidy(pattern).split('*')
  const [first = '', last = ''] = [pieces[0], pieces.at(-1)]
  if (pieces.length === 1) return text === first
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false
  let at = first.length
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at)
    if (found === -1) return false
    at = found + piece.length
  }
  return at <= text.length - last.length
}

/** Arguments that say the same in other words: order of names, `./`, spaces of a command. */
function callHash({ name, args }: Call): string {
  const plain = Object.fromEntries(
    Object.entries(args).map(([key, value]) => [
      key,
      typeof value === 'string' && /^(?:path|command|run)$/.test(key) ? tidy(value) : value,
    ]),
  )
  return shortHash(`${name} ${canonical(plain)}`)
}

const tidy = (text: string): string =>
  text
    .trim()
    .replaceAll(/\s+/g, ' ')
    .replace(/^(?:\.\/)+/, '')
const find = (memory: ToolMemory, call: string): Known | undefined => memory.calls.find((known) => known.call === call)
const kept = (memory: ToolMemory, entry: Known): readonly Known[] =>
  [...memory.calls.filter((known) => known.call !== entry.call), entry].slice(-CALLS_KEPT)
const signatureOf = ({ call, result, after }: Known): string => shortHash(`${call} ${result} ${after}`)
