/**
 * A store without a file: the same port over plain maps, for tests and as the second witness of what the port promises.
 *
 *   memoryStore ── memory/commit.ts ── history.ts     stage, then apply: all or nothing
 *       ├── memory/read.ts                            now, or at a position
 *       ├── memory/retention.ts, check.ts
 *       └── memory/refusals.ts                        the codes of every store
 *
 * It ends with its process. What holds across a crash of the process is nothing; what holds across a "crash" in a test is everything that was
 * committed: stores over one {@link SharedMemory} are to each other what processes on one file are.
 */
import { Defect } from '../../errors.ts'
import { assertJson } from '../../json.ts'
import type { Commit, Owned, RunFilter, RunRow, Store } from '../store.ts'
import { checkRuns } from './memory/check.ts'
import { gap, stage } from './memory/commit.ts'
import { byBytes } from './memory/order.ts'
import * as read from './memory/read.ts'
import { closed, exists, lost, MEMORY_PATH, noBackup, notFound, owned } from './memory/refusals.ts'
import { pruneRun } from './memory/retention.ts'
import { changedText, type MemoryRun, newRun, rowOf } from './memory/run.ts'
import { fromText, toText } from './memory/text.ts'

/** What stores in memory keep. Opaque: hand it to several stores, and they see the same runs. */
export interface SharedMemory {
  readonly runs: Map<string, MemoryRun>
  /** Of the newest request, over all runs. */
  requests: number
}

export function sharedMemory(): SharedMemory {
  return { runs: new Map(), requests: 0 }
}

/** Run ids are what files can be named after, here too: a test must not pass with one that a file refuses. */
const RUN_ID = /^[A-Za-z0-9_-]{1,64}$/

/**
 * Opens a store in memory, with the rules, errors and codes of the one on disk. Its path is `(memory)`.
 * @param memory  what it keeps its runs in. Default: its own, gone with the store.
 */
export function memoryStore(memory: SharedMemory = sharedMemory()): Store {
  const { runs } = memory
  const holds = new Set<() => void>()
  let isClosed = false

  function open(): void {
    if (isClosed) throw closed()
  }
  function known(run: string): MemoryRun {
    open()
    const found = runs.get(run)
    if (found === undefined) throw notFound(run)
    return found
  }
  /** An empty answer where there is no such run: asking never makes one, and is no error. */
  function of<T>(run: string, none: T, at: number | undefined, query: (found: MemoryRun, at: number | undefined) => T): T {
    open()
    const found = runs.get(run)
    return found === undefined ? none : query(found, read.placeIn(found, at))
  }
  return {
    path: MEMORY_PATH,
    createRun(row, first) {
      open()
      if (runs.has(row.run)) throw exists(row.run)
      runs.set(row.run, created(row, first))
    },
    own: (run, owner, options = {}) => ownRun(known(run), { owner, takeOver: options.takeOver === true, holds, open }),
    isOwned: (run) => of(run, false, undefined, ({ holder }) => holder !== null),
    run: (run) => of(run, null, undefined, rowOf),
    runs(filter = {}) {
      open()
      return listed([...runs.values()].map(rowOf), filter)
    },
    journal: (run, since, limit) => of(run, [], undefined, (found) => read.journalOf(found, since, limit)),
    commitEnd: (run, position) => of(run, 0, position, (found) => read.commitEndOf(found, position)),
    image(run, at) {
      const found = known(run)
      return read.imageOf(found, read.placeIn(found, at))
    },
    cells: (run, at) => of(run, [], at, read.cellsOf),
    cell: (run, address, at) => of(run, null, at, (found, place) => read.cellOf(found, address, place)),
    children: (run, address) => of(run, [], undefined, ({ kids }) => [...(kids.get(address) ?? [])].sort(byBytes)),
    snapshot: (run, address, incarnation, at) => of(run, null, at, (found, place) => read.snapshotOf(found, address, incarnation, place)),
    snapshots: (run, address, options) => of(run, [], undefined, (found) => read.snapshotsOf(found, address, options)),
    effects: (run, at) => of(run, [], at, read.effectsOf),
    thread: (run, thread, from = 0, at) => of(run, [], at, (found, place) => read.threadOf(found, thread, from, place)),
    machines: (run) => of(run, [], undefined, read.machinesOf),
    request(run, kind, data) {
      assertJson(data, 'data')
      known(run).requests.set(++memory.requests, { kind, data: toText(data, 'data') })
      return memory.requests
    },
    requests: (run) =>
      of(run, [], undefined, ({ requests }) => [...requests].map(([request, { kind, data }]) => ({ request, kind, data: fromText(data) }))),
    prune(run, before) {
      const found = known(run)
      if (found.holder !== null) throw owned(rowOf(found))
      pruneRun(found, before)
    },
    remove(run) {
      open()
      const found = runs.get(run)
      if (found?.holder != null) throw owned(rowOf(found))
      runs.delete(run)
    },
    backup: () => Promise.reject(isClosed ? closed() : noBackup()),
    check({ deep = false, run } = {}) {
      open()
      return checkRuns(
        [...runs.values()].filter((found) => run === undefined || found.run === run),
        deep,
      )
    },
    close() {
      for (const release of [...holds]) release()
      isClosed = true
    },
  }
}

/** The row may tell of the run as it is before its first commit, or after it. */
function created(row: RunRow, first: Parameters<Store['createRun']>[1]): MemoryRun {
  const id: unknown = row.run
  if (typeof id !== 'string' || !RUN_ID.test(id)) {
    const shown = typeof id === 'string' ? JSON.stringify(id) : `a ${typeof id}`
    throw new Defect('E_RUN_ID', `${shown} is no run id`, { hint: 'letters, digits, - and _, at most 64' })
  }
  for (const field of ['name', 'project', 'tree', 'input', 'meta', 'output'] as const) assertJson(row[field], field)
  for (const field of ['name', 'project'] as const) {
    const value: unknown = row[field]
    if (value !== null && typeof value !== 'string')
      throw new Defect('E_NOT_JSON', `${field} holds a ${typeof value}: it is a string or null`)
  }
  const position = first.journal.length === 0 ? row.position : first.journal[0]!.pos - 1
  if (row.position !== position && row.position !== position + first.journal.length) throw gap(row.position, position)
  const run = newRun(row, position)
  stage(run, first)()
  return run
}

function listed(rows: RunRow[], { project, status, limit = Number.POSITIVE_INFINITY }: RunFilter): readonly RunRow[] {
  return rows
    .filter((row) => (project === undefined || row.project === project) && (status === undefined || status.includes(row.status)))
    .sort((a, b) => byBytes(b.run, a.run))
    .slice(0, Math.max(0, limit))
}

interface Claim {
  readonly owner: NonNullable<RunRow['owner']>
  readonly takeOver: boolean
  readonly holds: Set<() => void>
  /** Throws when the store is closed. */
  readonly open: () => void
}

/** There are no processes to ask for signs of life: who owns a run owns it until it lets go, or is taken over. */
function ownRun(run: MemoryRun, { owner, takeOver, holds, open }: Claim): Owned {
  if (run.holder !== null && !takeOver) throw owned(rowOf(run))
  const text = changedText(run, { owner })
  const epoch = run.head.epoch + 1
  const me = {}
  run.text = text
  run.head = { ...run.head, epoch }
  run.holder = me
  let released = false
  const release = (): void => {
    released = true
    holds.delete(release)
    if (run.holder === me) run.holder = null
  }
  holds.add(release)
  function mine(): void {
    open()
    if (released) throw new Defect('E_LEASE_LOST', `run ${run.run}: epoch ${epoch} was released by this process`, { run: run.run, epoch })
  }
  function commit(next: Commit): void {
    mine()
    if (next.run !== run.run) {
      throw new Defect('E_COMMIT_INVALID', `a commit of run ${next.run} was given to the owner of ${run.run}`)
    }
    const isNext = next.epoch === epoch && run.head.epoch === epoch && run.head.position === next.expectedPosition
    if (!isNext) throw lost(rowOf(run), epoch, next.expectedPosition)
    stage(run, next)()
  }
  function check(): void {
    mine()
    if (run.head.epoch !== epoch) throw lost(rowOf(run), epoch, null)
  }
  return { run: run.run, epoch, commit, check, release }
}
