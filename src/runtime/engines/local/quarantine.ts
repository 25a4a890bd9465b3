/**
 * A resume counts the crash that it finds, before anything of the run is started: a run that dies while it is recovered is counted, too.
 *
 *   own -> machines fit -> count --one too many--> run.quarantined, refused
 *                            '--> probe, rehydrate, go on; run.resumed tells the count
 */
import { UserError } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import { isSupervisor } from '../../../protocol.ts'
import { RunClock } from '../../clock.ts'
import { type CrashWindow, crashIn, crashWords, isTooMany, windowOf, withCrash } from '../../quarantine.ts'
import type { Owned, RunRow } from '../../store.ts'
import type { ProbeOptions } from './probe.ts'
import { Tree, type TreeSource } from './tree.ts'

interface Crashed {
  readonly store: TreeSource
  readonly owned: Owned
  readonly probing: Pick<ProbeOptions, 'host' | 'clock'>
  /** As the dead process has left it. */
  readonly before: RunRow
}

/** The crashes of a run, that of `before` included. */
function crashesWith({ store, before }: Pick<Crashed, 'store' | 'before'>): CrashWindow {
  const { run, position, clock, limits } = before
  const crash = crashIn(
    {
      journal: (since, limit) => store.journal(run, since, limit),
      isSupervisor: (path) => isSupervisor(store.cell(run, path)?.machine ?? ''),
    },
    position,
    clock.runMs,
  )
  return withCrash(windowOf(limits.crashes), crash)
}

/**
 * Writes the crash down, in a commit of its own, or puts the run into quarantine.
 * @returns what takes it back: for a resume that ends in good order before it has begun.
 * @throws {UserError} `E_RUN_QUARANTINED`: that is stored, what the dead process left running is ended, and nothing is started.
 */
export async function countCrash(crashed: Crashed): Promise<{ readonly window: CrashWindow; readonly takeBack: () => void }> {
  const { owned, before } = crashed
  const window = crashesWith(crashed)
  if (isTooMany(window)) {
    const strays = await crashed.probing.host.reap(owned.run)
    write(crashed, (tree) => quarantine(tree, window, strays as unknown as Json))
    throw quarantined({ ...before, reason: reasonOf(window) })
  }
  const changed = (limits: RunRow['limits']) => write(crashed, (tree) => tree.draft.changeRun({ limits }))
  if (window.max !== null) changed({ ...before.limits, crashes: window })
  return { window, takeBack: () => (window.max === null ? undefined : changed(before.limits)) }
}

/** Nothing but this: the tree itself is not touched. */
function write({ store, owned, probing }: Crashed, change: (tree: Tree) => void): void {
  const image = store.image(owned.run)
  const stand = new RunClock(probing.clock, image.run.clock).stand()
  const tree = new Tree(image, probing.host, store)
  tree.begin(stand.runMs, stand.wallMs)
  change(tree)
  const commit = tree.commit(stand, tree.counters)
  if (commit !== null) owned.commit(commit)
}

function quarantine(tree: Tree, window: CrashWindow, strays: Json): void {
  const { path = null, state = null } = window.seen.at(-1) ?? {}
  tree.fact('run.quarantined', null, null, { crashes: window.seen.length, periodMs: window.periodMs, path, state, strays })
  tree.draft.changeRun({
    status: 'quarantined',
    reason: reasonOf(window),
    limits: { ...tree.run.limits, crashes: window },
    owner: null,
    endedAt: tree.wall,
  })
}

function reasonOf(window: CrashWindow): NonNullable<RunRow['reason']> {
  const { path = null, state = null, last = null } = window.seen.at(-1) ?? {}
  return {
    code: 'E_RUN_QUARANTINED',
    message: crashWords(window),
    ...(path === null ? {} : { path }),
    ...(state === null ? {} : { state }),
    ...(last === null ? {} : { hint: `the last that was heard of it: ${last}` }),
    crashes: window.seen.length,
    periodMs: window.periodMs,
  }
}

/** What a person is told who wants to go on with it. */
export function quarantined({ run, reason }: Pick<RunRow, 'run' | 'reason'>): UserError {
  return new UserError('E_RUN_QUARANTINED', reason?.message ?? 'crashed too often', {
    where: `run ${run}`,
    fix: `troupe logs ${run}, then: troupe resume ${run} --unquarantine`,
    exit: 1,
    evidence: reason?.hint === undefined ? [] : [reason.hint],
    details: { run, path: reason?.path ?? null, state: reason?.state ?? null },
  })
}
