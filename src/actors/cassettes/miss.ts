/**
 * How a request that is not on the tape reaches the run through a client that knows nothing of tapes: clients wrap what `fetch` throws, most of them as
 * `cause`. Adapters of providers ask {@link replayMissOf} about whatever a client threw, before they classify it.
 *
 *   fetch throws ReplayMiss { cause: Failure } --client--> APIConnectionError { cause: ReplayMiss } --replayMissOf--> Failure E_REPLAY_MISS, never tried again
 */
import { Failure } from '../../effect.ts'
import type { Nearest } from './difference.ts'

export interface MissFacts {
  readonly file: string
  /** Which request of this replay it is, from 1. */
  readonly asked: number
  readonly nearest: Nearest | null
  /** Where the request itself is on the tape: why it is not given. */
  readonly why?: string | undefined
}

/**
 * What a replaying `fetch` rejects with; its cause is the failure. Its own text is always the same: clients look for words such as those of a time limit in
 * errors and their causes, and then forget them.
 */
export class ReplayMiss extends Error {
  override readonly name = 'ReplayMiss'
  readonly code = 'E_REPLAY_MISS'
  override readonly cause: Failure
  constructor(facts: MissFacts) {
    super('the request is not on the tape')
    this.cause = failureOf(facts)
  }
}

/** As text it is its code alone: its message quotes requests. */
class QuietFailure extends Failure {
  override toString(): string {
    return this.code
  }
}

function failureOf({ file, asked, nearest, why }: MissFacts): Failure {
  const near =
    why ??
    (nearest === null
      ? 'there is nothing on it'
      : `nearest: exchange ${nearest.exchange}, differs at ${nearest.at}: ${nearest.tape} / ${nearest.now}`)
  return new QuietFailure('E_REPLAY_MISS', `request ${asked} is not on the tape ${file}; ${near}`, {
    retry: 'never',
    details: { hint: `record again: --record ${file} -y`, data: { file, asked, nearest: nearest === null ? null : { ...nearest } } },
  })
}

/** How deep causes are looked through. */
const CAUSES_MAX = 16

/** The failure of a replay behind an error, however often it was wrapped; null where it is another error. */
export function replayMissOf(error: unknown, depth = 0): Failure | null {
  if (error instanceof ReplayMiss) return error.cause
  if (typeof error !== 'object' || error === null || depth === CAUSES_MAX) return null
  const { cause, errors } = error as { cause?: unknown; errors?: unknown }
  for (const inner of [cause, ...(Array.isArray(errors) ? errors : [])]) {
    const found = replayMissOf(inner, depth + 1)
    if (found !== null) return found
  }
  return null
}
