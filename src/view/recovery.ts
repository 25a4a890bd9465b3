/**
 * What a resume found: which effects were open and what became of each, timers, mail, and whose place it took.
 *
 *   run 01M7W3MA  csv-export  stopped 2m ago at #388: process 4121 is gone, no goodbye
 *   4 effects were open:
 *     ✓ e207 file.write    /team/coder-1    src/csv.ts   applied   the file has the intended hash
 */
import type { Json, JsonObject } from '../json.ts'
import type { RecoveredEffect, Recovery } from '../runtime/engine.ts'
import type { RunRow } from '../runtime/store.ts'
import { ago, iso, plural, roundDuration } from './format.ts'
import type { Look, Tone } from './look.ts'
import { tableLines } from './table.ts'

type Verdict = RecoveredEffect['verdict']

const VERDICTS: Readonly<Record<Verdict, { mark: readonly [string, string, Tone]; word: string; next: string }>> = {
  applied: { mark: ['✓', '+', 'good'], word: 'applied', next: '' },
  not_applied: { mark: ['✗', 'x', 'attention'], word: 'not applied', next: 'done now' },
  not_started: { mark: ['○', 'o', 'dim'], word: 'not started', next: 'starts now' },
  repeat: { mark: ['↻', '~', 'attention'], word: 'repeat', next: 'policy repeat' },
  in_doubt: { mark: ['?', '?', 'attention'], word: 'in doubt', next: 'parked' },
}

export interface Recovered {
  readonly recovery: Recovery
  /** The run as it stood before. */
  readonly before: Pick<RunRow, 'name' | 'status' | 'reason'>
  readonly short: string
  readonly nowMs: number
}

/** The block that `resume` prints before the run goes on. */
export function recoveryLines({ recovery, before, short, nowMs }: Recovered, look: Look): readonly string[] {
  const { effects, position, epoch, mail, strays, machines } = recovery
  const why = stoppedBecause(before, recovery.owner?.pid ?? null)
  return [
    [`run ${short}`, before.name, `stopped ${ago(nowMs - recovery.stoppedAt)} at #${position}: ${why}`].filter(Boolean).join('  '),
    `journal ok (${plural(position, 'entry').replace('entrys', 'entries')}, chain intact)`,
    ...strays.map(({ pid, command }) => `ended stray process ${pid} \`${command}\``),
    ...machines.map(machineLine),
    effects.length === 0 ? 'no effect was open' : `${plural(effects.length, 'effect')} ${effects.length === 1 ? 'was' : 'were'} open:`,
    ...effectLines(effects, look),
    `${timerWords(recovery)}   mailboxes ${plural(mail, 'event')} kept   epoch ${epoch}`,
    ...crashLine(recovery.crashes),
  ]
}

/** `crash 2 within 10m; at 3 it is quarantined`. The first one is nothing to be warned of. */
function crashLine(crashes: Recovery['crashes']): readonly string[] {
  if (crashes === null || crashes.max === null || crashes.count < 2) return []
  return [`crash ${crashes.count} within ${roundDuration(crashes.periodMs)}; at ${crashes.max} it is quarantined`]
}

/** `machine coder: version 1 -> 2, 3 actors migrated`. */
function machineLine({ machine, from, to, verdict, actors, differences }: Recovery['machines'][number]): string {
  const version = from === to ? `version ${to} has changed` : `version ${from} -> ${to}`
  return `machine ${machine}: ${version}, ${plural(actors, 'actor')} ${verdict === 'migrated' ? 'migrated' : `${actors === 1 ? 'goes' : 'go'} on${differences.length === 0 ? '' : ': '}${differences.join('; ')}`}`
}

/** `1 applied, 1 not applied and done now, 2 repeated`: the verdicts, counted. */
export function verdictWords(effects: readonly Pick<RecoveredEffect, 'verdict'>[]): string {
  const words: Readonly<Record<Verdict, string>> = {
    applied: 'applied',
    not_applied: 'not applied and done now',
    not_started: 'not started, started now',
    repeat: 'repeated',
    in_doubt: 'in doubt',
  }
  const counted = (Object.keys(words) as Verdict[]).map((verdict) => ({
    verdict,
    n: effects.filter((each) => each.verdict === verdict).length,
  }))
  return counted.flatMap(({ verdict, n }) => (n === 0 ? [] : [`${n} ${words[verdict]}`])).join(', ')
}

/** `timers 1 overdue, fired; 2 pending`. */
function timerWords({ timersOverdue, timersPending }: Pick<Recovery, 'timersOverdue' | 'timersPending'>): string {
  return `timers ${timersOverdue} overdue${timersOverdue > 0 ? ', fired' : ''}; ${timersPending} pending`
}

/** Why it stood still: a process that said nothing has crashed. */
export function stoppedBecause({ status, reason }: Pick<RunRow, 'status' | 'reason'>, pid: number | null): string {
  if (status === 'running') return pid === null ? 'its process is gone, no goodbye' : `process ${pid} is gone, no goodbye`
  return `${status}${reason === null ? '' : ` ${reason.code === 'E_INTERRUPTED' ? reason.message : `(${reason.code})`}`}`
}

function effectLines(effects: readonly RecoveredEffect[], look: Look): readonly string[] {
  const columns = [{ title: '' }, { title: '' }, { title: '' }, { title: '', cut: 'middle' as const }, { title: '' }, { title: '' }]
  const rows = effects.map(({ id, kind, path, what, verdict, evidence }) => [
    { text: id },
    { text: kind },
    { text: path, tone: 'address' as const },
    { text: what },
    { text: VERDICTS[verdict].word },
    { text: [evidence, VERDICTS[verdict].next].filter(Boolean).join('; ') },
  ])
  const [, ...lines] = tableLines(columns, rows, { ...look, width: null }, false)
  return lines.map((line, index) => {
    const [symbol, ascii, tone] = VERDICTS[effects[index]!.verdict].mark
    return `  ${look.paint(tone, look.ascii ? ascii : symbol)} ${line}`
  })
}

/** The recovery in JSON, as in an item of `troupe.recover/1`. */
export function recoveryObject(recovery: Recovery): JsonObject {
  return {
    position: recovery.position,
    epoch: recovery.epoch,
    stoppedAt: iso(recovery.stoppedAt),
    owner: recovery.owner as unknown as Json,
    crashes: recovery.crashes,
    effects: recovery.effects as unknown as Json,
    timersOverdue: recovery.timersOverdue,
    timersPending: recovery.timersPending,
    mail: recovery.mail,
    strays: recovery.strays as unknown as Json,
    machines: recovery.machines as unknown as Json,
  }
}
