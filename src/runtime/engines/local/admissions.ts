/**
 * What stands between an effect that waits and its start: the gate of its handler. One admission for each attempt that has asked.
 *
 *   row that could start --ask--> waits --opened()--> turn: isOpen? --> let in --> started, performed --> landed
 *                                   |                                                                     |
 *                                   +-- cancelled, expired, the run stops --------------------------------+--> closed, once
 *
 * In memory only: who waits here is owed in the store, or waits there for its next attempt. So a crash meanwhile costs nothing, and a resume asks again.
 * Nothing is polled: a gate says when it has opened, and that makes a turn.
 */
import type { Admission, AdmissionRequest } from '../../../effect.ts'
import type { Held } from '../../../health.ts'
import type { ClockStand } from '../../clock.ts'
import type { Host } from '../../engine.ts'
import type { EffectRow } from '../../store.ts'

export interface AdmissionsOptions {
  readonly run: string
  readonly host: Pick<Host, 'handler'>
  /** Somebody may have been let in: a turn will see. */
  opened(): void
}

interface Asked {
  readonly admission: Admission
  isIn: boolean
}

/** What an attempt waits for, as its gate says. */
export type Waiting = NonNullable<ReturnType<Admission['waiting']>>

/** The attempt that a waiting row would start. */
const next = ({ id, attempt }: EffectRow): string => `${id}#${attempt + 1}`

export class Admissions {
  readonly #options: AdmissionsOptions
  readonly #asked = new Map<string, Asked>()
  #stopped = false

  constructor(options: AdmissionsOptions) {
    this.#options = options
  }

  /** Attempts that wait or are in. */
  get size(): number {
    return this.#asked.size
  }

  /** May this row start its next attempt now? Its gate is asked the first time; who is in stays in until it has landed. */
  admits(row: EffectRow): boolean {
    if (this.#stopped) return false
    const asked = this.#asked.get(next(row)) ?? this.#ask(row)
    if (asked === null) return true
    asked.isIn ||= asked.admission.isOpen()
    return asked.isIn
  }

  /** It has asked, and was not let in yet: no turn is of use to it until its gate opens. */
  isWaiting(row: EffectRow): boolean {
    const asked = this.#asked.get(next(row))
    return asked !== undefined && !asked.isIn && !asked.admission.isOpen()
  }

  /** What its next attempt waits for at the gate; null where it does not. */
  waiting(row: EffectRow): Waiting | null {
    const asked = this.#asked.get(next(row))
    return asked === undefined || asked.isIn ? null : asked.admission.waiting()
  }

  /** Rows as a commit has left them: who does not wait any more gives its place to others. */
  committed(changed: Iterable<{ readonly effect: EffectRow }>): void {
    for (const { effect } of changed) {
      const waits = effect.status === 'owed' || (effect.status === 'started' && effect.nextAt !== null)
      if (!waits) this.#close(next(effect))
    }
  }

  /** The attempt that this row has started is over. */
  landed({ id, attempt }: EffectRow): void {
    this.#close(`${id}#${attempt}`)
  }

  /** The run stops: nobody is let in any more, and who waits goes. Those in flight are closed as they land. */
  stop(): void {
    this.#stopped = true
    for (const [key, { isIn }] of this.#asked) if (!isIn) this.#close(key)
  }

  /** Whoever is left: started in a commit that failed, or deaf to its abort. */
  closeAll(): void {
    for (const key of this.#asked.keys()) this.#close(key)
  }

  #ask(row: EffectRow): Asked | null {
    const { run, opened } = this.#options
    const key = next(row)
    const admission = this.#admit({
      row,
      ticket: `${run}/${key}`,
      opened: () => {
        if (this.#asked.get(key)?.isIn === false) opened()
      },
    })
    if (admission === undefined) return null
    const asked = { admission, isIn: false }
    this.#asked.set(key, asked)
    return asked
  }

  #admit({ row, ...request }: Pick<AdmissionRequest<never>, 'ticket' | 'opened'> & { row: EffectRow }): Admission | undefined {
    if (row.kind === 'action' || row.kind === 'promise') return undefined
    try {
      const { admit } = this.#options.host.handler(row).handler
      return admit?.({ ...request, input: row.input as never, path: row.owner, attempt: row.attempt + 1 })
    } catch {
      return undefined // There is no handler, or its gate is broken: the attempt is made, and reports what is wrong.
    }
  }

  #close(key: string): void {
    const asked = this.#asked.get(key)
    if (asked === undefined) return
    this.#asked.delete(key)
    asked.admission.close()
  }
}

/** The same for a judge of health, who knows the run clock alone. */
export function heldOf(waiting: Waiting | null, { runMs, wallMs }: ClockStand): Held | null {
  if (waiting === null) return null
  const { on, why, untilMs } = waiting
  return { on, why, until: untilMs === null ? null : Math.max(runMs, untilMs - wallMs + runMs) }
}
