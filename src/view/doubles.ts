/**
 * Was anything done twice without a word? Every start of an effect needs a reason in the journal:
 * the first one none, each further one a failure that was scheduled again, or a verdict after a crash that says so.
 */
import { isVolatile } from '../effect.ts'
import type { Frame } from '../runtime/engine.ts'

/** Starts without a reason, and outcomes after the first: 0 is what is promised. */
export function doneTwiceSilently(frames: Iterable<Frame>): number {
  const effects = new Map<string, { starts: number; reasons: number; outcomes: number }>()
  for (const { type, data } of frames) {
    const id = String(data['id'] ?? data['effect'] ?? '')
    // Callbacks and observables are started again by their nature: they promise nothing.
    if (id === '' || isVolatile({ kind: String(data['kind']) })) continue
    const seen = effects.get(id) ?? { starts: 0, reasons: 1, outcomes: 0 }
    effects.set(id, seen)
    if (type === 'effect.started') seen.starts++
    else if (type === 'effect.succeeded') seen.outcomes++
    else if (
      type === 'retry.scheduled' ||
      (type === 'effect.proved' && (data['verdict'] === 'repeat' || data['verdict'] === 'not_applied'))
    )
      seen.reasons++
  }
  return [...effects.values()].reduce(
    (sum, { starts, reasons, outcomes }) => sum + Math.max(0, starts - reasons) + Math.max(0, outcomes - 1),
    0,
  )
}
