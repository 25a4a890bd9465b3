/**
 * What a resume finds out before anything runs: is the journal whole, what did the dead process leave behind, and what came of each effect
 * that was started. Strays are ended first, so that no probe looks at a file that is still being written.
 *
 *   started, and a next attempt is set   its last attempt failed and is known: goes on by its retry policy
 *   started, policy repeat               done again, with the same key
 *   started, policy prove                the probe says: applied -> its outcome | not applied -> done again | unknown -> in doubt
 *   started, policy ask                  in doubt
 */
import type { EffectCall, EffectHandler, Verdict } from '../../../effect.ts'
import { errorData, UserError } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import type { Host, RecoveredEffect, Recovery } from '../../engine.ts'
import { firstBreak } from '../../journal.ts'
import type { EffectRow, Image, Store } from '../../store.ts'
import { move, ownerOf, succeed } from './effects.ts'
import type { Tree } from './tree.ts'

export interface Findings {
  readonly recovery: Recovery
  /** Writes the findings, in the first commit of the new owner. */
  apply(tree: Tree): void
}

/** @throws {UserError} `E_STORE_DAMAGED` (exit 10) when the journal does not fit its hash chain. Then nothing is changed. */
export function verifyJournal(store: Store, image: Image): void {
  const { run, position, hash } = image.run
  let last = { pos: 0, hash: '' }
  for (;;) {
    const page = store.journal(run, last.pos)
    if (page.length === 0) break
    const broken = page[0]!.pos === last.pos + 1 ? firstBreak(page, last.hash) : page[0]!
    if (broken !== null) throw damaged(store, `entry ${broken.pos} does not fit the hash chain`)
    last = page.at(-1)!
  }
  if (last.pos !== position || last.hash !== hash) throw damaged(store, `the journal ends at #${last.pos}, #${position} was committed`)
}

function damaged(store: Store, what: string): UserError {
  return new UserError('E_STORE_DAMAGED', `${what} (${store.path})`, {
    where: 'store',
    fix: 'restore a backup of the database file; nothing runs on this one',
    exit: 10,
  })
}

/**
 * @param owner  who owned the run before, for the report; the row itself names the new owner by now.
 */
export async function investigate(
  image: Image,
  host: Host,
  owner: Recovery['owner'],
  thread: (name: string) => readonly Json[],
  now: number,
): Promise<Findings> {
  const strays = await host.reap(image.run.run)
  const judged: { row: EffectRow; found: RecoveredEffect; verdict: Verdict<unknown> | null }[] = []
  for (const row of image.effects) {
    if (row.status === 'in_doubt') continue
    const verdict =
      row.status === 'started' && row.nextAt === null && row.policy === 'prove' ? await probe(image.run.run, host, row, thread) : null
    judged.push({ row, verdict, found: judge(row, verdict) })
  }
  const overdue = image.timers.filter((timer) => timer.dueAt <= now).length
  const recovery: Recovery = {
    position: image.run.position,
    epoch: image.run.epoch,
    stoppedAt: image.run.clock.wallMs,
    owner,
    effects: judged.map(({ found }) => found),
    timersOverdue: overdue,
    timersPending: image.timers.length - overdue,
    mail: image.envelopes.length,
    strays,
  }
  return { recovery, apply: (tree) => write(tree, recovery, judged) }
}

function judge(row: EffectRow, verdict: Verdict<unknown> | null): RecoveredEffect {
  const about = { id: row.id, kind: row.kind, path: row.owner, policy: row.policy, what: summary(row.input) }
  if (row.status === 'owed' || row.nextAt !== null)
    return { ...about, verdict: 'not_started', evidence: row.nextAt === null ? null : 'its last attempt failed and is known' }
  if (row.policy === 'repeat') return { ...about, verdict: 'repeat', evidence: null }
  if (verdict === null || verdict.verdict === 'unknown')
    return { ...about, verdict: 'in_doubt', evidence: verdict?.evidence ?? 'no probe exists' }
  return { ...about, verdict: verdict.verdict, evidence: verdict.evidence ?? null }
}

async function probe(run: string, host: Host, row: EffectRow, thread: (name: string) => readonly Json[]): Promise<Verdict<unknown>> {
  const call: EffectCall<Json> = {
    input: row.input,
    key: `${run}/${row.id}`,
    run,
    id: row.id,
    path: row.owner,
    attempt: row.attempt,
    signal: new AbortController().signal,
    progress: () => {},
    thread,
    spent: () => {},
  }
  try {
    const { prove } = host.handler(row).handler as EffectHandler<Json, unknown>
    if (prove === undefined) return { verdict: 'unknown', evidence: 'its handler has no probe' }
    return await prove(call)
  } catch (thrown) {
    return { verdict: 'unknown', evidence: `the probe failed: ${errorData(thrown).message}` }
  }
}

function write(
  tree: Tree,
  recovery: Recovery,
  judged: readonly { row: EffectRow; found: RecoveredEffect; verdict: Verdict<unknown> | null }[],
): void {
  const pos = tree.fact('run.resumed', null, null, {
    from: recovery.position,
    epoch: tree.run.epoch,
    owner: tree.run.owner as unknown as Json,
    before: recovery.owner as unknown as Json,
    timersOverdue: recovery.timersOverdue,
    mail: recovery.mail,
    strays: recovery.strays as unknown as Json,
    openEffects: recovery.effects.length,
  })
  tree.draft.changeRun({ status: 'running', reason: null, endedAt: null })
  for (const { row, found, verdict } of judged) {
    if (found.verdict === 'not_started') continue
    tree.fact('effect.proved', ownerOf(row), pos, {
      id: row.id,
      kind: row.kind,
      policy: row.policy,
      verdict: found.verdict,
      evidence: found.evidence,
    })
    if (found.verdict === 'applied') succeed(tree, row, (verdict as { output: Json }).output, null, found.evidence)
    else if (found.verdict === 'in_doubt') park(tree, row, found)
    else move(tree, row, 'started', { nextAt: tree.now, evidence: found.evidence })
  }
}

function park(tree: Tree, row: EffectRow, found: RecoveredEffect): void {
  move(tree, row, 'in_doubt', { evidence: found.evidence })
  tree.fact('effect.parked', ownerOf(row), row.cause, { id: row.id, kind: row.kind, evidence: found.evidence })
}

/** What an effect is about, in a few words, for people. */
function summary(input: Json): string {
  if (typeof input !== 'object' || input === null) return String(input ?? '')
  const named = input as { readonly [key: string]: Json }
  const plan = named['plan'] as { path?: Json } | undefined
  const word = named['path'] ?? plan?.path ?? named['command'] ?? named['agent'] ?? named['name'] ?? named['tool'] ?? ''
  return typeof word === 'string' ? word.slice(0, 60) : ''
}
