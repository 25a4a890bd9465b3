/**
 * What a resume finds out before anything runs: what did the dead process leave behind, and what came of each effect
 * that was started. Strays are ended first, so that no probe looks at a file that is still being written.
 *
 *   started, and a next attempt is set   its last attempt failed and is known: goes on by its retry policy
 *   started, policy repeat               done again, with the same key
 *   started, policy prove                the probe says: applied -> its outcome | not applied -> done again | unknown -> in doubt
 *   started, policy ask                  in doubt
 *   in doubt, policy prove               asked once more at each resume
 *   an `after` of a state that says so   due later: see downtime.ts
 */
import { isVolatile, type Verdict } from '../../../effect.ts'
import type { Json } from '../../../json.ts'
import type { RecoveredEffect, Recovery } from '../../engine.ts'
import { isUnderWay } from '../../spending.ts'
import type { EffectRow, Image } from '../../store.ts'
import { dueAfter, moveTimers } from './downtime.ts'
import { ownerOf, park, repeat, startVolatile, succeed } from './effects.ts'
import { type ProbeOptions, probe } from './probe.ts'
import type { Tree } from './tree.ts'

interface Judged {
  readonly row: EffectRow
  readonly found: RecoveredEffect
  readonly verdict: Verdict<Json | undefined> | null
}

export interface Findings {
  readonly recovery: Recovery
  /** Writes the findings, in the first commit of the new owner. @param resumed  called once the resume itself is on record. */
  apply(tree: Tree, resumed?: () => void): void
}

/**
 * @param known  who owned the run before (the row itself names the new owner by now), whether it crashed, and which machines have changed, for the report.
 */
export async function investigate(
  image: Image,
  options: ProbeOptions,
  known: Pick<Recovery, 'owner' | 'crashes' | 'machines'>,
  now: number,
): Promise<Findings> {
  const strays = await options.host.reap(image.run.run)
  const judged: Judged[] = []
  for (const row of image.effects) {
    if (isVolatile(row) || (row.status === 'in_doubt' && row.policy !== 'prove')) continue
    const isUnknown = row.status === 'in_doubt' || (row.status === 'started' && row.nextAt === null)
    const verdict = isUnknown && row.policy === 'prove' ? await probe(options, row) : null
    judged.push({ row, verdict, found: judge(row, verdict) })
  }
  const overdue = image.timers.filter((timer) => dueAfter(timer, image.run.clock.runMs, now) <= now).length
  const recovery: Recovery = {
    position: image.run.position,
    epoch: image.run.epoch,
    stoppedAt: image.run.clock.wallMs,
    ...known,
    effects: judged.map(({ found }) => found),
    timersOverdue: overdue,
    timersPending: image.timers.length - overdue,
    mail: image.envelopes.length,
    strays,
  }
  return { recovery, apply: (tree, resumed) => write(tree, recovery, judged, resumed) }
}

function judge(row: EffectRow, verdict: Judged['verdict']): RecoveredEffect {
  const about = { id: row.id, kind: row.kind, path: row.owner, policy: row.policy, what: summary(row.input) }
  if (row.status === 'owed' || row.nextAt !== null)
    return { ...about, verdict: 'not_started', evidence: row.nextAt === null ? null : 'its last attempt failed and is known' }
  if (row.policy === 'repeat') return { ...about, verdict: 'repeat', evidence: null }
  if (verdict === null || verdict.verdict === 'unknown')
    return { ...about, verdict: 'in_doubt', evidence: verdict?.evidence ?? 'no probe exists' }
  return { ...about, verdict: verdict.verdict, evidence: verdict.evidence ?? null }
}

function write(tree: Tree, recovery: Recovery, judged: readonly Judged[], resumed: () => void = () => {}): void {
  const pos = tree.fact('run.resumed', null, null, {
    from: recovery.position,
    epoch: tree.run.epoch,
    owner: tree.run.owner as unknown as Json,
    before: recovery.owner as unknown as Json,
    ...(recovery.crashes === null ? {} : { crashes: recovery.crashes.count }),
    timersOverdue: recovery.timersOverdue,
    mail: recovery.mail,
    strays: recovery.strays as unknown as Json,
    openEffects: recovery.effects.length,
  })
  tree.draft.changeRun({ status: 'running', reason: null, endedAt: null })
  resumed()
  moveTimers(tree, pos)
  for (const { row, found, verdict } of judged) {
    if (found.verdict === 'not_started') continue
    if (found.verdict === 'in_doubt' && row.status === 'in_doubt') continue // It was before, and it was asked in vain.
    const proved = tree.fact('effect.proved', ownerOf(row), pos, {
      id: row.id,
      kind: row.kind,
      policy: row.policy,
      verdict: found.verdict,
      evidence: found.evidence,
    })
    const end = isUnderWay(row) ? 'unknown' : undefined
    if (found.verdict === 'applied')
      succeed(tree, row, (verdict as { output: Json | undefined }).output, null, { evidence: found.evidence, end: end ?? 'failed' })
    else if (found.verdict === 'in_doubt') park(tree, row, found.evidence, null, end ?? 'failed')
    else repeat(tree, row, found.evidence, proved)
  }
  for (const row of [...tree.effects.values()]) if (isVolatile(row)) startVolatile(tree, row)
}

/** What an effect is about, in a few words, for people. */
function summary(input: Json): string {
  if (typeof input !== 'object' || input === null) return String(input ?? '')
  const named = input as { readonly [key: string]: Json }
  const plan = named['plan'] as { path?: Json } | undefined
  const word = named['path'] ?? plan?.path ?? named['command'] ?? named['agent'] ?? named['name'] ?? named['tool'] ?? ''
  return typeof word === 'string' ? word.slice(0, 60) : ''
}
