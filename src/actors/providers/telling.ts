/**
 * What is told of an answer while it comes: its text piece by piece, and once each that it thinks or calls a tool. The first of these is the first token,
 * whatever it is: a model that thinks for a minute, or only calls a tool, is not late.
 */
import { Failure } from '../../effect.ts'
import { PAYLOAD_BYTES_MAX } from '../../limits.ts'
import type { GenerateOptions } from '../provider.ts'

/** The pieces of one answer. Each throws a {@link Failure} once they are more than an answer may have. */
export interface Telling {
  readonly text: (piece: string) => void
  readonly thinking: (piece: string) => void
  /** A tool is called by this name, with this much of its arguments. */
  readonly call: (name: string, piece: string) => void
  /** From the request to the first piece; null: there was none. */
  readonly firstTokenMs: () => number | null
}

/** Begins to count when it is called. */
export function telling({ progress }: GenerateOptions): Telling {
  const began = performance.now()
  let firstTokenMs: number | null = null
  let chars = 0
  let isThinking = false
  let calling = ''
  const heard = (piece: string): void => {
    firstTokenMs ??= Math.round(performance.now() - began)
    chars += piece.length
    if (chars <= PAYLOAD_BYTES_MAX) return
    throw new Failure('E_PROVIDER_OUTPUT', `the answer has more than ${PAYLOAD_BYTES_MAX} characters`, { retry: 'backoff' })
  }
  return {
    text(piece) {
      if (piece === '') return
      heard(piece)
      progress({ text: piece.toWellFormed() })
    },
    thinking(piece) {
      heard(piece)
      if (!isThinking) progress({ thinking: true })
      isThinking = true
    },
    call(name, piece) {
      heard(piece)
      if (name !== calling) progress({ tool: name.toWellFormed() })
      calling = name
    },
    firstTokenMs: () => firstTokenMs,
  }
}
