/**
 * The row of a run, in two tables: `run` holds what was said at its start and how it stands, `head` (head.ts) what every commit changes.
 * A commit then rewrites a small row and not the tree, the input and the task file.
 */
import type { Database } from 'better-sqlite3'
import { Defect } from '../../../errors.ts'
import { assertJson, type Json } from '../../../json.ts'
import type { Commit, RunFilter, RunRow, RunStatus } from '../../store.ts'
import type { Blobs, Stored } from './blob.ts'
import { damagedRow, storeError } from './errors.ts'
import { EMPTY_HEAD, type Head, type Heads } from './head.ts'
import { fromText, toText } from './json-text.ts'
import { RUNS_MAX } from './keys.ts'
import { sumOf } from './sums.ts'

export interface RunColumns {
  readonly k: number
  readonly run: string
  readonly name: string | null
  readonly project: string | null
  readonly status: string
  readonly reason: string | null
  readonly tree: Stored
  readonly input: Stored
  readonly limits: string
  readonly meta: Stored
  readonly output: Stored
  readonly created_at: number
  readonly ended_at: number | null
  readonly owner: string | null
  readonly sum: number
}

export interface RunRows {
  /** Adds both rows, of what {@link assertRun} takes, and gives the run's small key. @throws {UserError} `E_STORE_FULL`. */
  insert(row: RunRow): number
  /** The small key, or null where there is no such run. */
  key(run: string): number | null
  get(run: string): RunRow | null
  /** Without those whose rows are damaged. */
  list(filter: RunFilter): readonly RunRow[]
  change(key: number, changes: NonNullable<Commit['run_']>): void
  /** Number of the lock file that the owner of the current epoch holds, or held. */
  seat(key: number): number
  /** Adds one to the epoch, records the owner and its seat, and gives the new epoch. */
  raiseEpoch(key: number, owner: NonNullable<RunRow['owner']>, seat: number): number
}

/** Run ids name lock files too, so they keep to characters that are safe in a file name. */
const RUN_ID = /^[A-Za-z0-9_-]{1,64}$/

export function runRows(db: Database, heads: Heads, blobs: Blobs): RunRows {
  const next = db.prepare<[], number>("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'run'), 0) + 1").pluck()
  const insert = db.prepare('INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const key = db.prepare<[string], number>('SELECT k FROM run WHERE run = ?').pluck()
  const get = db.prepare<[string], RunColumns>('SELECT * FROM run WHERE run = ?')
  const byKey = db.prepare<[number], RunColumns>('SELECT * FROM run WHERE k = ?')
  const list = db.prepare<[{ project: string | null; status: string | null }], RunColumns>(`SELECT * FROM run
    WHERE (@project IS NULL OR project = @project) AND (@status IS NULL OR status IN (SELECT value FROM json_each(@status)))
    ORDER BY run.run DESC`)
  const update = db.prepare('UPDATE run SET status = ?, reason = ?, limits = ?, output = ?, ended_at = ?, owner = ?, sum = ? WHERE k = ?')

  function whole(columns: RunColumns): RunColumns {
    if (runSum(columns) !== columns.sum) throw damagedRow(db, columns.k, 'run', columns.k)
    return columns
  }
  function decode(columns: RunColumns): RunRow {
    return decodeRun(whole(columns), heads.read(columns.k), (column) => fromText(blobs.get(column, columns.k)))
  }
  function newKey(): number {
    const k = next.get()!
    if (k > RUNS_MAX) throw storeError('E_STORE_FULL', `${db.name} has had ${RUNS_MAX} runs`, db.name, 'begin another file')
    return k
  }
  function add(row: RunRow): number {
    const columns = encode(newKey(), row, blobs)
    insert.run(...Object.values(columns), runSum(columns))
    const { epoch, position, hash, clock, counters } = row
    // What lies before its first entry is not here, so a run begins as if it had been pruned up to there.
    const begin = { position, hash, anchor: position, anchorHash: hash, seal: position, sealHash: hash }
    heads.insert(columns.k, { ...EMPTY_HEAD, epoch, ...begin, ...clock, ...counters })
    return columns.k
  }
  function change(k: number, { status, limits, output, reason, endedAt, owner }: NonNullable<Commit['run_']>): void {
    const before = whole(byKey.get(k)!)
    const columns = {
      ...before,
      status: status ?? before.status,
      reason: reason === undefined ? before.reason : orNull(reason, 'reason'),
      limits: limits === undefined ? before.limits : toText(limits, 'limits'),
      output: output === undefined ? before.output : blobs.put(toText(output, 'output')),
      ended_at: endedAt === undefined ? before.ended_at : endedAt,
      owner: owner === undefined ? before.owner : orNull(owner, 'owner'),
    }
    const { ended_at, sum: _, ...c } = columns
    update.run(c.status, c.reason, c.limits, c.output, ended_at, c.owner, runSum(columns), k)
  }
  return {
    insert: add,
    key: (run) => key.get(run) ?? null,
    get(run) {
      const columns = get.get(run)
      return columns === undefined ? null : decode(columns)
    },
    list({ project, status, limit = Number.POSITIVE_INFINITY }) {
      const filter = { project: project ?? null, status: status === undefined ? null : toText(status, 'status') }
      const found: RunRow[] = []
      if (limit <= 0) return found
      for (const columns of list.iterate(filter)) {
        // A damaged run is told, not left out: a list without it would say that it never was.
        if (found.push(decode(columns)) >= limit) break
      }
      return found
    },
    change,
    seat: (k) => heads.read(k).seat,
    raiseEpoch(k, owner, seat) {
      change(k, { owner })
      const head = heads.read(k)
      heads.write(k, { ...head, epoch: head.epoch + 1, seat })
      return head.epoch + 1
    },
  }
}

/**
 * Nothing of another type than its column's: SQLite makes text of a number, and the sum would not hold when the row is read.
 * @throws {Defect} `E_RUN_ID`, `E_NOT_JSON`.
 */
export function assertRun(row: RunRow): void {
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
}

export function runSum(c: Omit<RunColumns, 'sum'>): number {
  const said = sumOf(c.k, c.run, c.name, c.project, c.tree, c.input, c.meta, c.created_at)
  return sumOf(said, c.status, c.reason, c.limits, c.output, c.ended_at, c.owner)
}

/** In the order of the table's columns. */
function encode(k: number, row: RunRow, blobs: Blobs): Omit<RunColumns, 'sum'> {
  const text = (field: 'tree' | 'input' | 'meta' | 'output'): Stored => blobs.put(toText(row[field], field))
  return {
    k,
    run: row.run,
    name: row.name,
    project: row.project,
    status: row.status,
    reason: orNull(row.reason, 'reason'),
    tree: text('tree'),
    input: text('input'),
    limits: toText(row.limits, 'limits'),
    meta: text('meta'),
    output: text('output'),
    created_at: row.createdAt,
    ended_at: row.endedAt,
    owner: orNull(row.owner, 'owner'),
  }
}

function orNull(value: unknown, where: string): string | null {
  return value === null || value === undefined ? null : toText(value, where)
}

function decodeRun(columns: RunColumns, head: Head, value: (column: Stored) => Json): RunRow {
  const { epoch, position, hash, runMs, wallMs, seq, effects, timers } = head
  return {
    run: columns.run,
    name: columns.name,
    project: columns.project,
    status: columns.status as RunStatus,
    reason: columns.reason === null ? null : fromText<NonNullable<RunRow['reason']>>(columns.reason),
    tree: value(columns.tree),
    input: value(columns.input),
    limits: fromText<RunRow['limits']>(columns.limits),
    meta: value(columns.meta),
    output: value(columns.output),
    createdAt: columns.created_at,
    endedAt: columns.ended_at,
    epoch,
    owner: columns.owner === null ? null : fromText<NonNullable<RunRow['owner']>>(columns.owner),
    position,
    hash,
    clock: { runMs, wallMs },
    counters: { seq, effects, timers },
  }
}
