/**
 * The row of a run, in two tables: `run` holds what was said at its start and how it stands, `head` what every commit changes.
 * A commit then rewrites a small row and not the tree, the input and the task file.
 */
import type { Database } from 'better-sqlite3'
import { Defect } from '../../../errors.ts'
import { assertJson, type Json } from '../../../json.ts'
import type { Commit, RunFilter, RunRow, RunStatus } from '../../store.ts'
import { fromText, toText } from './json-text.ts'

interface Columns {
  readonly k: number
  readonly run: string
  readonly name: string | null
  readonly project: string | null
  readonly status: string
  readonly reason: string | null
  readonly tree: string
  readonly input: string
  readonly limits: string
  readonly meta: string
  readonly output: string
  readonly created_at: number
  readonly ended_at: number | null
  readonly owner: string | null
  readonly epoch: number
  readonly position: number
  readonly hash: string
  readonly run_ms: number
  readonly wall_ms: number
  readonly seq: number
  readonly effects: number
  readonly timers: number
}

export interface RunRows {
  /** Adds both rows, and gives the run's small key. @throws {Defect} `E_RUN_ID`, `E_NOT_JSON`. */
  insert(row: RunRow): number
  /** The small key, or null where there is no such run. */
  key(run: string): number | null
  get(run: string): RunRow | null
  list(filter: RunFilter): readonly RunRow[]
  change(key: number, changes: NonNullable<Commit['run_']>): void
  /** Number of the lock file that the owner of the current epoch holds, or held. */
  seat(key: number): number
  /** Adds one to the epoch, records the owner and its seat, and gives the new epoch. */
  raiseEpoch(key: number, owner: NonNullable<RunRow['owner']>, seat: number): number
}

/** Run ids name lock files too, so they keep to characters that are safe in a file name. */
const RUN_ID = /^[A-Za-z0-9_-]{1,64}$/

/** So that `Infinity` may be asked for. */
const LIMIT_MAX = 2 ** 31

const SELECT = 'SELECT run.*, epoch, position, hash, run_ms, wall_ms, seq, effects, timers FROM run JOIN head ON head.run = run.k'

export function runRows(db: Database): RunRows {
  const insertRun =
    db.prepare(`INSERT INTO run (run, name, project, status, reason, tree, input, limits, meta, output, created_at, ended_at, owner)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
  const insertHead = db.prepare(
    'INSERT INTO head (run, epoch, position, hash, run_ms, wall_ms, seq, effects, timers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  )
  const key = db.prepare<[string], number>('SELECT k FROM run WHERE run = ?').pluck()
  const get = db.prepare<[string], Columns>(`${SELECT} WHERE run.run = ?`)
  const list = db.prepare<[{ project: string | null; status: string | null; limit: number }], Columns>(`${SELECT}
    WHERE (@project IS NULL OR project = @project) AND (@status IS NULL OR status IN (SELECT value FROM json_each(@status)))
    ORDER BY run.run DESC LIMIT @limit`)
  const change =
    db.prepare(`UPDATE run SET status = coalesce(@status, status), limits = coalesce(@limits, limits), output = coalesce(@output, output),
    reason = iif(@hasReason, @reason, reason), ended_at = iif(@hasEndedAt, @endedAt, ended_at), owner = iif(@hasOwner, @owner, owner) WHERE k = @key`)
  const seat = db.prepare<[number], number>('SELECT seat FROM head WHERE run = ?').pluck()
  const raise = db.prepare<[number, number], number>('UPDATE head SET epoch = epoch + 1, seat = ? WHERE run = ? RETURNING epoch').pluck()

  function insert(row: RunRow): number {
    if (!RUN_ID.test(row.run))
      throw new Defect('E_RUN_ID', `${JSON.stringify(row.run)} is no run id`, { hint: 'letters, digits, - and _, at most 64' })
    for (const field of ['tree', 'input', 'meta', 'output'] as const) assertJson(row[field], field)
    const { lastInsertRowid } = insertRun.run(
      row.run,
      row.name,
      row.project,
      row.status,
      orNull(row.reason, 'reason'),
      toText(row.tree, 'tree'),
      toText(row.input, 'input'),
      toText(row.limits, 'limits'),
      toText(row.meta, 'meta'),
      toText(row.output, 'output'),
      row.createdAt,
      row.endedAt,
      orNull(row.owner, 'owner'),
    )
    const { clock, counters } = row
    const k = Number(lastInsertRowid)
    insertHead.run(k, row.epoch, row.position, row.hash, clock.runMs, clock.wallMs, counters.seq, counters.effects, counters.timers)
    return k
  }
  function applyChanges(k: number, changes: NonNullable<Commit['run_']>): void {
    const { status, limits, output, reason, endedAt, owner } = changes
    change.run({
      key: k,
      status: status ?? null,
      limits: limits === undefined ? null : toText(limits, 'limits'),
      output: output === undefined ? null : toText(output, 'output'),
      hasReason: Number(reason !== undefined),
      reason: orNull(reason, 'reason'),
      hasEndedAt: Number(endedAt !== undefined),
      endedAt: endedAt ?? null,
      hasOwner: Number(owner !== undefined),
      owner: orNull(owner, 'owner'),
    })
  }
  return {
    insert,
    key: (run) => key.get(run) ?? null,
    get(run) {
      const columns = get.get(run)
      return columns === undefined ? null : decode(columns)
    },
    list({ project, status, limit }) {
      const filter = {
        project: project ?? null,
        status: status === undefined ? null : toText(status, 'status'),
        limit: Math.min(Math.max(0, limit ?? LIMIT_MAX), LIMIT_MAX),
      }
      return list.all(filter).map(decode)
    },
    change: applyChanges,
    seat: (k) => seat.get(k)!,
    raiseEpoch(k, owner, taken) {
      applyChanges(k, { owner })
      return raise.get(taken, k)!
    },
  }
}

function orNull(value: unknown, where: string): string | null {
  return value === null || value === undefined ? null : toText(value, where)
}

function decode(columns: Columns): RunRow {
  return {
    run: columns.run,
    name: columns.name,
    project: columns.project,
    status: columns.status as RunStatus,
    reason: columns.reason === null ? null : fromText<NonNullable<RunRow['reason']>>(columns.reason),
    tree: fromText<Json>(columns.tree),
    input: fromText<Json>(columns.input),
    limits: fromText<RunRow['limits']>(columns.limits),
    meta: fromText<Json>(columns.meta),
    output: fromText<Json>(columns.output),
    createdAt: columns.created_at,
    endedAt: columns.ended_at,
    epoch: columns.epoch,
    owner: columns.owner === null ? null : fromText<NonNullable<RunRow['owner']>>(columns.owner),
    position: columns.position,
    hash: columns.hash,
    clock: { runMs: columns.run_ms, wallMs: columns.wall_ms },
    counters: { seq: columns.seq, effects: columns.effects, timers: columns.timers },
  }
}
