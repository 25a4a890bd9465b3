/**
 * The read path: rows back to what was committed. An image costs what is open; histories are read by their own keys, and in parts.
 */
import type { Database } from 'better-sqlite3'
import type { Json } from '../../../json.ts'
import type { CellStatus, EncodedSnapshot, Envelope } from '../../cell.ts'
import type { JournalEntry } from '../../journal.ts'
import type { AskRow, CellRow, EffectRow, Image, RequestRow, TimerRow } from '../../store.ts'
import { fromText } from './json-text.ts'

/** Journal entries of one answer, unless asked otherwise. */
const JOURNAL_LIMIT = 1_000
/** So that `Infinity` may be asked for. */
const LIMIT_MAX = 2 ** 31

// INDEXED BY: left alone, SQLite takes the primary key, and an image reads everything that ever was.
const OPEN_EFFECT = 'FROM effect e INDEXED BY effect_open WHERE e.run = ? AND e.open = 1'
const NEWEST_EFFECT =
  'FROM effect e WHERE e.run = ? AND e.changed = (SELECT max(changed) FROM effect m WHERE m.run = e.run AND m.id = e.id)'
const EFFECT = `SELECT e.data, e.output,
  (SELECT input FROM effect i WHERE i.run = e.run AND i.id = e.id AND i.changed <= e.changed AND i.input IS NOT NULL ORDER BY i.changed DESC LIMIT 1) AS input`
/** `e2` before `e10`: in the order in which they were owed. */
const IN_ORDER = 'ORDER BY length(e.id), e.id'

interface EffectColumns {
  readonly data: string
  readonly input: string
  readonly output: string | null
}
interface SnapshotColumns {
  readonly json: string
  readonly hash: string
  readonly status: string
  readonly value: string
  readonly tags: string
}

export interface Reads {
  journal(key: number, since: number, limit?: number): readonly JournalEntry[]
  parts(key: number): Omit<Image, 'run'>
  snapshot(key: number, address: string, incarnation: number): EncodedSnapshot | null
  effects(key: number): readonly EffectRow[]
  thread(key: number, thread: string, from: number): readonly Json[]
  requests(key: number): readonly RequestRow[]
}

export function reads(db: Database): Reads {
  const journal = db.prepare<[number, number, number], JournalEntry>(
    'SELECT pos, at, type, path, inc, cause, data, hash FROM journal WHERE run = ? AND pos > ? ORDER BY pos LIMIT ?',
  )
  const open = (table: string, id: string, isOpen = 'died IS NULL') =>
    db.prepare<[number], string>(`SELECT data FROM ${table} INDEXED BY ${table}_open WHERE run = ? AND ${isOpen} ORDER BY ${id}`).pluck()
  const cells = open('cell', 'address', 'live = 1')
  const [envelopes, timers, asks] = [open('envelope', 'seq'), open('timer', 'timer'), open('ask', 'ask')]
  const openEffects = db.prepare<[number], EffectColumns>(`${EFFECT} ${OPEN_EFFECT} ${IN_ORDER}`)
  const allEffects = db.prepare<[number], EffectColumns>(`${EFFECT} ${NEWEST_EFFECT} ${IN_ORDER}`)
  const snapshot = db.prepare<[number, string, number], SnapshotColumns>(
    'SELECT json, hash, status, value, tags FROM snapshot WHERE run = ? AND address = ? AND incarnation = ? ORDER BY born DESC LIMIT 1',
  )
  const thread = db
    .prepare<[number, string, number], string>('SELECT item FROM thread WHERE run = ? AND thread = ? AND place >= ? ORDER BY place')
    .pluck()
  const requests = db.prepare<[number], { request: number; kind: RequestRow['kind']; data: string }>(
    'SELECT request, kind, data FROM request WHERE run = ? AND died IS NULL ORDER BY request',
  )
  return {
    journal: (key, since, limit = JOURNAL_LIMIT) => journal.all(key, since, Math.min(Math.max(0, limit), LIMIT_MAX)),
    parts: (key) => ({
      cells: cells.all(key).map((text) => fromText<CellRow>(text)),
      envelopes: envelopes.all(key).map((text) => fromText<Envelope>(text)),
      timers: timers.all(key).map((text) => fromText<TimerRow>(text)),
      effects: openEffects.all(key).map(effect),
      asks: asks.all(key).map((text) => fromText<AskRow>(text)),
    }),
    snapshot(key, address, incarnation) {
      const row = snapshot.get(key, address, incarnation)
      if (row === undefined) return null
      return {
        json: row.json,
        hash: row.hash,
        status: row.status as CellStatus,
        value: fromText(row.value),
        tags: fromText<string[]>(row.tags),
      }
    },
    effects: (key) => allEffects.all(key).map(effect),
    thread: (key, name, from) => thread.all(key, name, from).map((text) => fromText(text)),
    requests: (key) => requests.all(key).map(({ request, kind, data }) => ({ request, kind, data: fromText(data) })),
  }
}

function effect({ data, input, output }: EffectColumns): EffectRow {
  const rest = fromText<Omit<EffectRow, 'input' | 'output'>>(data)
  return { ...rest, input: fromText(input), output: output === null ? undefined : fromText(output) } as EffectRow
}
