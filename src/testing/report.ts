/** What a simulation tells: counts, the journal in a form that only the seed decides, and of the first broken invariant all that is needed to see it again. */
import type { Json } from '../json.ts'
import type { Result } from '../runtime/engine.ts'
import type { Broken, Fact } from './record.ts'

export interface SimulationFailure {
  /** The rule that does not hold. */
  readonly invariant: string
  readonly message: string
  /** Milliseconds since the start. */
  readonly at: number
  /** The newest entries of the journal, as in `journal`. */
  readonly journalTail: readonly string[]
  /** The call that shows it again. */
  readonly reproduce: string
}

export interface SimulationReport {
  readonly seed: number
  /** Sent from outside, the last `shutdown` not counted. */
  readonly events: number
  /** Those that were acknowledged. The others were refused, or sent to a process that died: those may have been taken. */
  readonly accepted: number
  /** Steps that were taken, those included that a crash of the process undid. */
  readonly steps: number
  /** Steps that the simulation crashed. */
  readonly crashes: number
  readonly restarts: number
  /** Of the process. */
  readonly deaths: number
  readonly failedCommits: number
  readonly simulatedMs: number
  /** How the run ended; null where it did not. */
  readonly ended: Result | null
  /**
   * All entries, one a line: position, milliseconds, type, actor, cause, data. Without what differs from process to process (hashes, process ids, hosts): the
   * same seed gives the same text, byte for byte.
   */
  readonly journal: string
  /** Null where everything held. */
  readonly failure: SimulationFailure | null
}

const TAIL_LINES = 20
/** Of `run.started` and `run.resumed`: who owned the run. */
const OF_PROCESS = ['pid', 'host', 'owner', 'before']

/** The journal as text that the seed alone decides. */
export function canonical(facts: readonly Fact[]): string {
  return facts.map(lineOf).join('\n')
}

function lineOf({ pos, at, type, path, inc, cause, data }: Fact): string {
  const shown: { [key: string]: Json } = { ...data }
  if (type === 'run.started' || type === 'run.resumed') for (const field of OF_PROCESS) delete shown[field]
  return `${pos} ${at} ${type} ${path ?? '-'}#${inc ?? '-'} <${cause ?? '-'} ${JSON.stringify(shown)}`
}

export function failureOf(broken: Broken, seed: number, at: number, facts: readonly Fact[]): SimulationFailure {
  return {
    invariant: broken.invariant,
    message: broken.message,
    at,
    journalTail: facts.slice(-TAIL_LINES).map(lineOf),
    reproduce: `simulate(tree, { seed: ${seed} })`,
  }
}
