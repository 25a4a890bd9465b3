/** What the journal of a stage says of lives, as lines; and what of it must be the same however often the process dies. */
import type { Fact } from '../harness.ts'

const TEAM = '/top/team'

/** An entry with the milliseconds since the start. */
export type Entry = Fact & { readonly at: number }

/** `team`, or a place below it: `sub/w`. */
export const addressOf = (id: string): string => (id === 'team' ? TEAM : `${TEAM}/${id}`)
export const nameOf = (address: string): string => (address === TEAM ? 'team' : address.slice(TEAM.length + 1))
export const isBelow = (address: string): boolean => address.startsWith(`${TEAM}/`)

/**
 * How steps are told depends on how many a commit holds, and health is judged once a commit. Resumes tell of themselves, and of the effects that they begin
 * again.
 */
const NOT_COMPARED: ReadonlySet<string> = new Set(['step.committed', 'health.changed', 'run.resumed', 'effect.started', 'effect.proved'])

/** All that must be the same: without positions and numbers that count steps, and without what a dead process would have heard. */
export function comparable(entries: readonly Entry[]): unknown[] {
  return entries.flatMap(({ at, type, path, inc, data: { sent: _, seq: _seq, fired: _fired, ask: _ask, ...data } }) =>
    NOT_COMPARED.has(type) || String(data['event']).startsWith('outcome of') ? [] : [{ at, type, path, inc, data }],
  )
}

/** Lines with their milliseconds. A life that declined has no start beside. */
export function linesOf(entries: readonly Entry[]): string[] {
  const lines = entries.flatMap((entry) => lineOf(entry).map((line) => `${entry.at} ${line}`))
  const declined = new Set(lines.filter((line) => line.includes(' declined ')).map((line) => line.replace(' declined ', ' started ')))
  return lines.filter((line) => !declined.has(line))
}

const WORDS: Readonly<Record<string, string>> = { normal: 'finished', killed: 'killed' }

function lineOf({ type, path, inc, data }: Entry): string[] {
  if (path === null || !path.startsWith(TEAM)) return []
  const who = `${nameOf(path)}#${inc}`
  const reason = data['reason'] as { kind: string; detail?: string; error?: { code: string } } | undefined
  switch (type) {
    case 'actor.started':
      return [`started ${who}`]
    case 'actor.crashed':
      return [`${data['state'] === '(starting)' ? 'failed' : 'crashed'} ${who}`]
    case 'actor.stopped':
      if (reason?.kind === 'shutdown') return [`ended ${who} ${reason.detail}`]
      return [reason?.kind === 'error' ? `ended ${who} ${reason.error?.code}` : `${WORDS[reason?.kind ?? '']} ${who}`]
    case 'supervisor.gave_up':
      return [`gave_up ${nameOf(path)} ${String(data['child'])}`]
    case 'event.emitted':
      return [`${(data['event'] as { type: string }).type} ${who}`]
    default:
      return []
  }
}
