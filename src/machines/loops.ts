/**
 * Rounds that go in circles (R1). A memory of the last rounds is plain JSON of less than 4 kB that lives in the orchestrator's context, so a checkpoint keeps it.
 *
 *   identical     the same feedback as the round before, N times in a row (default 2: the second escalates)
 *   similar       nearly the same words (0.95) about the same names in as many lines, N times in a row
 *   oscillation   A-B-A-B: feedback, or the workspace, goes back and forth
 *   no_progress   changes were asked for by the same one, N times in a row, and the workspace stayed as it was
 *
 * Feedback that is other resets the count, and so does any status but `needs_changes`. Whatever is found, rounds are bounded by `maxRounds`.
 */
import { linesIn, namesIn, normalised, sha256, shortHash, similarity, sketchOf } from './fingerprint.ts'

type LoopKind = 'identical' | 'similar' | 'oscillation' | 'no_progress' | 'tool' | 'polling'

/** A loop that was found. `signature`: hash of what came up again; `count`: how often in a row. */
export type Loop = { readonly kind: LoopKind; readonly signature: string; readonly count: number }

export interface FeedbackOptions {
  /** The how manieth same feedback in a row is one too many. Default 2. */
  readonly maxConsecutiveRetries?: number | undefined
  /** Default true. */
  readonly oscillation?: boolean | undefined
  /** From which on two texts are nearly the same, 0 to 1. Default 0.95. */
  readonly similarity?: number | undefined
  /** What the round had made, as any text that differs when it does: a tree hash, with the name of who looked at it. Left out: not compared. */
  readonly workspace?: string | undefined
}

interface Round {
  /** SHA-256 of the normalised feedback. */
  readonly feedback: string
  readonly workspace: string | null
}

export interface FeedbackMemory {
  /** The last four, the newest last. */
  readonly rounds: readonly Round[]
  /** How often in a row, the last one included: the same feedback, nearly the same, and with an unchanged workspace. */
  readonly identical: number
  readonly near: number
  readonly still: number
  /** Of the last feedback: its words, its names, its lines. */
  readonly sketch: string
  readonly names: string
  readonly lines: number
}

/** Nothing was sent back yet. */
export const NO_FEEDBACK: FeedbackMemory = { rounds: [], identical: 0, near: 0, still: 0, sketch: '', names: '', lines: 0 }
const ROUNDS_KEPT = 4

export interface LoopCheck {
  readonly abort: boolean
  /** Why, in words; null where the work goes on. */
  readonly reason: string | null
  /** Null: no loop; with `abort`, no round is left. */
  readonly loop: Loop | null
  /** Keep it for the next check. */
  readonly memory: FeedbackMemory
}

/**
 * Is another round worth it (R1)?
 * @param status     of the round that is over; `needs_changes` is the only one that can loop.
 * @param feedback   what the coder would be told, line by line.
 * @param iteration  number of the round that is over, from 1.
 */
export function checkRetryLoop(
  status: string,
  feedback: readonly string[],
  iteration: number,
  maxRounds: number,
  memory: FeedbackMemory,
  options: FeedbackOptions = {},
): LoopCheck {
  if (status !== 'needs_changes') return { abort: false, reason: null, loop: null, memory: NO_FEEDBACK }
  const next = remembered(memory, feedback.join('\n'), options)
  const loop = loopIn(next, options)
  if (loop !== null) return { abort: true, reason: inWords(loop), loop, memory: next }
  const abort = iteration >= maxRounds
  return { abort, reason: abort ? `no round is left: ${iteration} of ${maxRounds} are used` : null, loop: null, memory: next }
}

function remembered(memory: FeedbackMemory, text: string, options: FeedbackOptions): FeedbackMemory {
  const round = { feedback: sha256(normalised(text)), workspace: options.workspace === undefined ? null : shortHash(options.workspace) }
  const facts = { sketch: sketchOf(text), names: namesIn(text), lines: linesIn(text) }
  const last = memory.rounds.at(-1)
  const same = last?.feedback === round.feedback
  const unchanged = round.workspace !== null && last?.workspace === round.workspace
  return {
    rounds: [...memory.rounds, round].slice(-ROUNDS_KEPT),
    identical: same ? memory.identical + 1 : 1,
    near: same || (last !== undefined && isNear(memory, facts, options)) ? memory.near + 1 : 1,
    still: unchanged ? memory.still + 1 : 1,
    ...facts,
  }
}

/** A point that was dropped or added, another name or number: that is another feedback, however alike the words. */
function isNear(memory: FeedbackMemory, now: Pick<FeedbackMemory, 'sketch' | 'names' | 'lines'>, options: FeedbackOptions): boolean {
  if (memory.lines !== now.lines || memory.names !== now.names) return false
  return similarity(memory.sketch, now.sketch) >= (options.similarity ?? 0.95)
}

function loopIn({ rounds, identical, near, still }: FeedbackMemory, options: FeedbackOptions): Loop | null {
  const { maxConsecutiveRetries: max = 2, oscillation = true } = options
  const last = rounds.at(-1)
  if (last === undefined) return null
  if (identical >= max) return { kind: 'identical', signature: last.feedback, count: identical }
  if (near >= max && near > 1) return { kind: 'similar', signature: last.feedback, count: near }
  if (still >= max && still > 1) return { kind: 'no_progress', signature: last.workspace ?? '', count: still }
  if (!oscillation) return null
  const back = backAndForth(rounds.map((round) => round.feedback)) ?? backAndForth(rounds.map((round) => round.workspace))
  return back === null ? null : { kind: 'oscillation', signature: back, count: 2 }
}

/** Signature of A-B-A-B, or null. */
function backAndForth(values: readonly (string | null)[]): string | null {
  const [a, b, c, d] = values.slice(-ROUNDS_KEPT)
  if (a === undefined || b === undefined || a === null || b === null) return null
  return a !== b && a === c && b === d ? shortHash(`${a} ${b}`) : null
}

/** A loop as a person is told. */
export function inWords({ kind, count }: Loop): string {
  switch (kind) {
    case 'identical':
      return `identical loop, ${count} times the same feedback`
    case 'similar':
      return `similar loop, ${count} times nearly the same feedback`
    case 'oscillation':
      return 'oscillation loop, the same two results in turn, twice'
    case 'no_progress':
      return `no progress, changes were asked for ${count} times and nothing was changed`
    case 'tool':
      return `tool loop, ${count} times the same call with the same result`
    case 'polling':
      return 'polling loop, what it waits for did not come in time'
  }
}
