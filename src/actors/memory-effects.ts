/**
 * Handlers of `memory.recall` and `memory.record`, by kind: `createTroupe({ effects: memoryEffects({ open: memories.open }) })`.
 *
 *   recall   finds, and puts into words what fits the limits
 *   record   enqueues, and waits until it is committed: what the journal says was recorded survives `kill -9`
 */

import { isRetryable } from '../catalogue.ts'
import { type EffectHandler, Failure } from '../effect.ts'
import { errorData, UserError } from '../errors.ts'
import type { Recalled, RecallInput, Recorded, RecordInput } from '../machines/memory-effects.ts'
import { remembered } from '../machines/remembering.ts'
import type { Memory, Operation } from './memory.ts'

export interface MemoryEffectsOptions {
  /** The memory of a project, by its folder. */
  readonly open: (project: string) => Memory
  /** Whose memory is meant where an effect names no project. Default: the folder of the process. */
  readonly project?: string | undefined
}

/** Handlers for the effects of memory-effects.ts, by kind. */
export function memoryEffects({ open, project = '.' }: MemoryEffectsOptions) {
  const recalling: EffectHandler<RecallInput, Recalled> = {
    perform: ({ input: { query, limits, ...about }, signal }) =>
      asFailure(async () => remembered(await open(about.project ?? project).recall(query, limits, signal), limits.tokensMax)),
  }
  const recording: EffectHandler<RecordInput, Recorded> = {
    perform: ({ input, run }) => asFailure(() => write(open(input.project ?? project), operationsOf(input, run))),
  }
  return { 'memory.recall': recalling, 'memory.record': recording }
}

/** All of them, in order. Those that were committed before one of them was refused are there when it is tried again, and are not written twice. */
async function write(memory: Memory, operations: readonly Operation[]): Promise<Recorded> {
  const asked = operations.map((operation) => memory.enqueue(operation))
  await memory.flush()
  for (const one of asked) {
    if (!one.accepted) throw new Failure('E_MEMORY_REFUSED', `the memory takes nothing now: it is ${one.why}`, { retry: 'backoff' })
    const end = await one.done
    if (!end.ok) throw refused(end.error)
  }
  return { operations: operations.length }
}

/** What the file said, tried again where that may help. */
function refused({ code, message }: { readonly code: string; readonly message: string }): Failure {
  if (isRetryable(code)) return new Failure(code, message, { retry: 'backoff' })
  return new Failure('E_MEMORY_REFUSED', message)
}

async function asFailure<Output>(act: () => Promise<Output>): Promise<Output> {
  try {
    return await act()
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown
    const { code, message } = errorData(thrown)
    throw new Failure(code, message, { retry: isRetryable(code) ? 'backoff' : 'never' })
  }
}

/** Keys are the machine's own, so two runs may use the same: each is written under its run. */
function operationsOf(input: RecordInput, run: string): readonly Operation[] {
  const key = `${run}/${input.key}`
  switch (input.kind) {
    case 'mission': {
      const { item, goal, outcome, summary, files, tree } = input
      const snapshots = files.map((path): Operation => ({ key: `${key}:${path}`, type: 'ADD_FILE_SNAPSHOT', mission: key, path, tree }))
      return [{ key, type: 'LOG_MISSION', run, item, goal, outcome, summary }, ...snapshots]
    }
    case 'fact':
      return [{ key, type: 'ADD_FACT', text: input.text, source: input.source }]
    case 'entity':
      return [{ key, type: 'ADD_ENTITY', name: input.name, kind: input.is, text: input.text }]
    case 'relationship':
      return [{ key, type: 'ADD_RELATIONSHIP', source: input.source, relation: input.relation, target: input.target }]
  }
}
