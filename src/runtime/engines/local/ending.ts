/** How a run comes to stand still: its root ended, it waits for a person or for a higher budget, its time is up, or it was told to stop. */
import type { ErrorData } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import type { ExitReason } from '../../../protocol.ts'
import { totalUsage } from '../../../usage.ts'
import type { Result } from '../../engine.ts'
import type { RunRow, Store } from '../../store.ts'
import { heldError } from './budgets.ts'
import type { Tree } from './tree.ts'

export interface Ending {
  readonly status: Result['status']
  readonly reason: ErrorData | null
  readonly output: Json
}

/** @param busy  effects in flight and intakes that wait: while there are any, the run is not still. */
export function endingOf(tree: Tree, busy: number): Ending | null {
  const { deadlineAt } = tree.run.limits
  const isLate = deadlineAt !== null && tree.now >= deadlineAt
  if (tree.ended !== null) return isLate || !owesActions(tree) ? endingOfRoot(tree.ended) : null
  if (isLate) {
    return { status: 'limited', reason: { code: 'E_LIMIT_TIME', message: 'the deadline of the run has passed' }, output: null }
  }
  if (busy > 0 || tree.mail.size > 0 || tree.afterwards.perform.length > 0) return null
  const { inDoubt, heldBack, size } = tree.effects
  if (inDoubt + heldBack === 0 || inDoubt + heldBack < size) return null
  // Deadlines of asks and of actors are no work: who is asked may be waiting for the very person that is needed. Other timers are.
  for (const timer of tree.timers.values()) if (timer.kind !== 'ask' && timer.kind !== 'deadline') return null
  if (heldBack > 0) return { status: 'limited', reason: heldError(tree), output: null }
  const ids = [...tree.effects.values()].map((row) => row.id)
  return {
    status: 'suspended',
    reason: { code: 'E_EFFECT_IN_DOUBT', message: `${ids.length} effects in doubt: ${ids.join(', ')}`, effects: ids },
    output: null,
  }
}

/** Named actions of the last steps are still performed; nothing else is. */
function owesActions(tree: Tree): boolean {
  for (const row of tree.effects.values()) if (!row.answer && row.status !== 'in_doubt') return true
  return false
}

function endingOfRoot(reason: ExitReason): Ending {
  switch (reason.kind) {
    case 'normal':
      return completed(reason)
    case 'shutdown':
      if (reason.detail === 'completed') return completed(reason)
      if (reason.detail === 'ordered')
        return {
          status: 'canceled',
          reason: { code: 'E_RUN_CANCELED', message: 'the tree was told to stop' },
          output: reason.output ?? null,
        }
      return { status: 'failed', reason: gaveUp(reason.output), output: null }
    case 'killed':
      return { status: 'failed', reason: { code: 'E_RUN_FAILED', message: 'the root was killed' }, output: null }
    case 'error':
      return { status: 'failed', reason: reason.error, output: null }
  }
}

const completed = ({ output = null, failure = null }: { output?: Json | undefined; failure?: ErrorData | null | undefined }): Ending =>
  failure === null ? { status: 'succeeded', reason: null, output } : { status: 'failed', reason: failure, output }

interface Given {
  readonly last?: ExitReason
  readonly child?: string
  readonly count?: number
  readonly max?: number
  readonly periodMs?: number
}

function gaveUp(output: Json | undefined): ErrorData {
  const given = (output ?? {}) as Given
  const { child, count, max, periodMs } = given
  const { words, error } = causeOf(given.last)
  return {
    code: 'E_SUPERVISOR_GAVE_UP',
    message: `${count ?? '?'} restarts in ${periodMs ?? '?'} ms, ${max ?? '?'} are allowed; last: ${child ?? '?'}: ${words}`,
    ...(error === null ? {} : { cause: error as unknown as Json }),
  }
}

/** Why the last one ended. A supervisor that gave up has a cause of its own, and so on down to what began it. */
function causeOf(last: ExitReason | undefined): { words: string; error: ErrorData | null } {
  if (last?.kind === 'error') return { words: `${last.error.code} ${last.error.message}`, error: last.error }
  if (last?.kind !== 'shutdown') return { words: last?.kind ?? 'unknown', error: null }
  if (last.detail !== 'gave_up') return { words: `shutdown ${last.detail}`, error: null }
  const given = (last.output ?? {}) as Given
  const { words, error } = causeOf(given.last)
  return { words: `it gave up on ${given.child ?? '?'}: ${words}`, error }
}

export function writeEnding(tree: Tree, ending: Ending): void {
  const final = ending.status === 'succeeded' || ending.status === 'failed' || ending.status === 'canceled'
  const type = final
    ? 'run.finished'
    : ending.status === 'suspended'
      ? 'run.suspended'
      : ending.status === 'limited'
        ? 'run.limited'
        : 'run.interrupted'
  const pending = ending.status === 'suspended' ? [...tree.effects.values()].map((row) => row.id) : undefined
  tree.fact(type, null, null, { status: ending.status, reason: ending.reason as unknown as Json, pending, openEffects: tree.effects.size })
  tree.draft.changeRun({ status: ending.status, reason: ending.reason, output: ending.output, owner: null, endedAt: tree.wall })
}

/** Everything that a result tells, read from the store. */
export function resultOf(run: RunRow, store: Store): Result {
  const effects = store.effects(run.run)
  const facts = countFacts(run.run, store)
  const used = totalUsage(effects.map((row) => row.usage))
  const doubts = effects.filter((row) => row.status === 'in_doubt')
  return {
    run: run.run,
    name: run.name,
    status: run.status as Result['status'],
    reason: run.reason,
    output: run.output,
    startedAt: run.createdAt,
    endedAt: run.endedAt ?? run.clock.wallMs,
    position: run.position,
    usage: {
      ...used,
      actors: facts.actors,
      restarts: facts.restarts,
      effects: effects.length,
      inDoubt: doubts.length,
    },
    inDoubt: doubts.map((row) => ({ id: row.id, kind: row.kind, path: row.owner, what: row.input })),
    repeated: facts.repeated,
    promises: effects.filter((row) => row.kind === 'action' || row.kind === 'promise').length,
  }
}

function countFacts(run: string, store: Store): { actors: number; restarts: number; repeated: number } {
  const counted = { actors: 0, restarts: 0, repeated: 0 }
  for (let since = 0; ; ) {
    const page = store.journal(run, since)
    for (const entry of page) {
      since = entry.pos
      if (entry.type === 'actor.started' && !entry.data.includes('"machine":"troupe.supervisor"')) counted.actors++
      else if (entry.type === 'actor.restarted') counted.restarts++
      else if (entry.type === 'effect.proved' && /"verdict":"(repeat|not_applied)"/.test(entry.data)) counted.repeated++
    }
    if (page.length === 0) return counted
  }
}
