/**
 * How a run that stands still is shown: its tree and what was verified, or one `troupe.result/1` object.
 *
 *   ✓ team                succeeded, verified   1m42s   41.8k tok   simulated
 *   ├─ ✓ orchestrator     done                  1m41s    6.2k tok
 *   verification  gate `test` passed on tree 9c1f2ab, the tree that was promoted
 *   changes       4 files +212 -8   look: troupe show 01M7W3MA --tree
 */
import type { Json, JsonObject } from '../json.ts'
import { isSupervisor } from '../protocol.ts'
import type { Recovery, Result } from '../runtime/engine.ts'
import type { Ledger } from '../runtime/ledger.ts'
import { agentsIn, type Cast, nameOf, restartWords, type Seen } from './actors.ts'
import { costBasis, count, duration, iso, money, plural, printable, shortHash } from './format.ts'
import { type Acting, actorMark, type Look, runMark, type Standing } from './look.ts'
import { type Outcome, type TeamOutput, teamOutput } from './outcome.ts'
import { errorObject } from './problem.ts'
import { recoveryObject } from './recovery.ts'
import { type TreeNode, treeLines } from './tree.ts'

export interface Report {
  readonly result: Result
  readonly outcome: Outcome
  readonly cast: Cast
  readonly tokens: ReadonlyMap<string, number>
  readonly recovery: Recovery | null
  /** The run's id as it is shown. */
  readonly short: string
  /** Who answered, over all lives of the run. Absent: nobody with a name. */
  readonly models?: Ledger['byModel'] | undefined
  /** How many of those answers were kept ones, for which nobody was asked. */
  readonly keptAnswers?: number | undefined
}

/** `succeeded, verified`: a standing, and how far its work was checked. */
export function standingWords(standing: Standing, output: TeamOutput): string {
  return standing === 'succeeded' && output.level !== null ? `${standing}, ${output.level}` : standing
}

/** The final tree, one line per actor; the root's line speaks of the whole run. */
export function resultTree(report: Report, look: Look): readonly string[] {
  const { cast, result, outcome } = report
  const root = [...cast.values()].find(({ parent }) => parent === null)
  const node: TreeNode = {
    mark: runMark(outcome.standing, look),
    name: root === undefined ? (result.name ?? 'run') : nameOf(root),
    columns: [
      endingWords(report),
      duration(result.endedAt - result.startedAt),
      tokenWords(result.usage.inputTokens + result.usage.outputTokens),
      money(result.usage.costUsd, costBasis(result.usage)),
    ],
    children: root === undefined ? [] : childNodes(root.address, report, look),
  }
  return treeLines(node, look, { right: [1, 2] })
}

/** A run that failed says with what. */
function endingWords({ result, outcome }: Report): string {
  const words = standingWords(outcome.standing, teamOutput(result.output))
  return outcome.standing === 'failed' && result.reason !== null ? `${words}: ${result.reason.code}` : words
}

function childNodes(address: string, report: Report, look: Look): readonly TreeNode[] {
  const children = [...report.cast.values()].filter(({ parent }) => parent === address)
  return children.map((seen) => ({
    mark: actorMark(actingOf(seen, report), look),
    name: nameOf(seen),
    columns: [endWords(seen, report), lifeWords(seen, report), tokenWords(report.tokens.get(seen.address) ?? 0), restartWords(seen)],
    children: childNodes(seen.address, report, look),
  }))
}

/** Once a run has succeeded, the actors that were told to stop then have done their part. */
function actingOf({ end }: Seen, { outcome }: Report): Acting {
  if (end === null) return 'waiting'
  return end === 'stopped' && outcome.standing === 'succeeded' ? 'done' : end
}

function endWords(seen: Seen, report: Report): string {
  const acting = actingOf(seen, report)
  const said = { crashed: `crashed ${seen.crash ?? ''}`, waiting: 'saved' } as const
  const word = isSupervisor(seen.machine) ? 'supervisor' : acting === 'crashed' || acting === 'waiting' ? said[acting] : acting
  return [word.trim(), seen.items.join(', ')].filter(Boolean).join('   ')
}

function lifeWords({ startedAt, endedAt }: Seen, { result }: Report): string {
  return duration((endedAt ?? result.endedAt) - startedAt)
}

const tokenWords = (tokens: number): string => `${count(tokens)} tok`

/** What was checked, what was changed, and what was done more than once. */
export function resultNotes({ result, short, models, keptAnswers = 0 }: Report): readonly string[] {
  const output = teamOutput(result.output)
  const notes: string[] = []
  const answered = named(models).map(({ provider, model, calls }) => `${printable(`${provider} ${model}`)}, ${plural(calls, 'call')}`)
  const kept = keptAnswers === 0 ? '' : `; ${plural(keptAnswers, 'answer')} of them kept: nobody was asked, nothing was paid`
  if (answered.length > 0) notes.push(`models        ${answered.join('; ')}${kept}`)
  if (output.level !== null) notes.push(`verification  ${verificationWords(output)}`)
  if (output.files.length > 0) notes.push(`changes       ${changeWords(output)}   look: troupe show ${short}`)
  if (result.repeated > 0)
    notes.push(`after a stop  ${plural(result.repeated, 'effect')} started again: by policy, or a probe showed that it was not applied`)
  if (result.promises > 0)
    notes.push(`note: named actions and plain promises, ${result.promises} in all, have no idempotency key: done at least once`)
  return notes
}

/** Those that have a name: a script has none. */
const named = (models: Report['models'] = []) => models.filter(({ provider }) => provider !== null)

function verificationWords({ gates, promoted, level }: TeamOutput): string {
  if (gates.length === 0) return level === 'verified' ? 'reviewed; no gate was asked for' : 'none: no gate has passed on this tree'
  const words = gates.map(({ id, status, tree }) => `gate \`${id}\` ${status} on tree ${shortHash(tree)}`)
  return `${words.join('; ')}${promoted ? ', the tree that was promoted' : '; nothing was promoted'}`
}

function changeWords({ files, added, removed, promoted }: TeamOutput): string {
  return `${plural(files.length, 'file')} +${added} -${removed}${promoted ? '' : ', staged only'}`
}

/** `troupe.result/1`. Absent is null; a run that ended badly has its `error`. */
export function resultObject(report: Report): JsonObject {
  const { result, outcome, cast, recovery, models } = report
  const output = teamOutput(result.output)
  const usage = result.usage
  return {
    schema: 'troupe.result/1',
    type: 'result',
    run: result.run,
    name: result.name,
    status: outcome.standing,
    reason: result.reason as unknown as Json,
    exit: outcome.exit,
    simulated: usage.simulated === true,
    startedAt: iso(result.startedAt),
    endedAt: iso(result.endedAt),
    durationMs: result.endedAt - result.startedAt,
    position: result.position,
    output: result.output,
    verification: output.level === null ? null : { level: output.level, gates: output.gates as unknown as Json },
    workspace: output.tree === null ? null : workspaceObject(output),
    work: output.work,
    pending: result.inDoubt.map(({ id, kind, path }) => ({ id, kind: 'in_doubt', path, what: kind })),
    usage: {
      inputTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
      costUsd: usage.costUsd,
      costBasis: costBasis(usage),
      actors: agentsIn(cast),
      restarts: usage.restarts,
      effects: usage.effects,
      inDoubt: usage.inDoubt,
    },
    models: named(models).map(({ provider, model, calls, costUsd, costBasis: basis }) => ({
      provider,
      model,
      calls,
      costUsd,
      costBasis: basis,
    })),
    repeated: result.repeated,
    resume: outcome.resume,
    recovery: recovery === null ? null : recoveryObject(recovery),
    error: outcome.problem === null ? null : errorObject(outcome.problem),
  }
}

function workspaceObject({ promoted, tree, files, added, removed }: TeamOutput): JsonObject {
  return { promoted, tree, files: files.length, added, removed }
}
