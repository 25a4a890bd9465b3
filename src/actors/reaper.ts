/**
 * Finds and ends what effects of a dead process left behind. Commands carry their run and effect in their environment, so a later process knows them
 * although it never started them.
 */
import { EFFECT_TAG, GRACE_MS, RUN_TAG } from './sandbox.ts'
import { commandOf, endAll, environmentOf, type Process, processTable, withKin } from './sandboxes/processes.ts'

/** A process that some effect started. */
export interface Stray {
  readonly pid: number
  readonly command: string
  readonly run: string
  /** Null for kin that dropped its tags. */
  readonly effect: string | null
  /** Milliseconds since 1970. */
  readonly startedAt: number
}

/**
 * Processes with the tag of this run, or of any run. Never this process or its ancestors. Whether their run is still owned by somebody is for the
 * caller to know. On Linux; elsewhere the environment of others cannot be read and the answer is always empty.
 */
export function strays(run?: string): readonly Stray[] {
  return processTable().all.flatMap((each) => {
    const found = strayOf(each)
    return found !== null && (run === undefined || found.run === run) ? [found] : []
  })
}

/**
 * Ends the tagged processes of a run, their groups, sessions and descendants: SIGTERM, after `graceMs` (default 2000) SIGKILL. Resolves when they are
 * gone, with what was ended. Only the owner of a run may call it, before it repeats or probes any effect. Finds nothing off Linux.
 */
export async function reap(run: string, { graceMs = GRACE_MS }: { readonly graceMs?: number | undefined } = {}): Promise<readonly Stray[]> {
  const known = new Map<number, Stray>()
  const find = (): readonly Process[] => {
    const left = withKin(processTable(), (each) => strayOf(each)?.run === run)
    for (const each of left) {
      // Described while it lives: afterwards nobody knows what it was.
      const description = strayOf(each) ?? { pid: each.pid, command: commandOf(each.pid), run, effect: null, startedAt: each.startedAt }
      if (!known.has(each.pid)) known.set(each.pid, description)
    }
    return left
  }
  const ended = await endAll(find, graceMs)
  return ended.flatMap((each) => known.get(each.pid) ?? [])
}

function strayOf({ pid, startedAt }: Process): Stray | null {
  const environment = environmentOf(pid)
  const run = environment.get(RUN_TAG)
  return run === undefined ? null : { pid, command: commandOf(pid), run, effect: environment.get(EFFECT_TAG) ?? null, startedAt }
}
