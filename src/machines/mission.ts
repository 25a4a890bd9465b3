/**
 * An orchestrator that remembers: each item that is closed becomes an episode in the memory of the project, before the next one is begun.
 * Without `memory` in its input nothing is recorded.
 */
import type { Json } from '../json.ts'
import type { OrchestratorContext } from './ledger.ts'
import type { RecordInput } from './memory-effects.ts'

/** Files of one episode that are kept. */
const FILES_MAX = 200

/** The part of the context that an orchestrator which remembers has. `recorded`: records of `finished` that the memory has been told of. */
export interface Missions {
  readonly memory?: true
  readonly recorded?: number
}

/** The record that was made last of an item that was worked on, where the memory has not been told. */
function unrecorded({ memory, recorded = 0, finished }: OrchestratorContext) {
  return memory === true ? finished.slice(recorded).find(({ status }) => status !== 'not_started') : undefined
}

/** Is there something to record? */
export const mustRecord = (context: OrchestratorContext): boolean => unrecorded(context) !== undefined

/** The item that was closed last, as an episode: how it ended, and the files that are changed by now, or were by whoever ran out of time. */
export function missionOf(context: OrchestratorContext): RecordInput {
  const { address, target, work, staged } = context
  const record = unrecorded(context)
  const item = record?.id ?? ''
  return {
    kind: 'mission',
    key: `${address}/${item}`,
    project: target.source,
    item,
    goal: work.find(({ id }) => id === item)?.description ?? '',
    outcome: record?.status ?? '',
    summary: record?.summary ?? '',
    files: (record?.status === 'done' ? (staged?.files ?? []) : filesOf(record?.partial)).slice(0, FILES_MAX),
    tree: record?.status === 'done' ? (staged?.tree ?? '') : '',
  }
}

/** Files that a coder had written when its time was up. */
function filesOf(partial: Json | undefined): readonly string[] {
  const { files } = (partial ?? {}) as { readonly files?: Json }
  return Array.isArray(files) ? files.filter((file) => typeof file === 'string') : []
}
