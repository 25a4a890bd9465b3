/**
 * The write path: one commit as rows. Called inside a transaction; every statement is prepared once for the life of the handle.
 *
 *   head  (fence: epoch and position)  ->  journal  ->  versions (cell, snapshot, effect)  ->  births and deaths  ->  thread, request, run
 *
 * The head goes first: where it does not match nothing has been written, and where it does the write lock keeps it so.
 */
import type { Database, Statement } from 'better-sqlite3'
import { Defect } from '../../../errors.ts'
import { OPEN } from '../../status.ts'
import type { CellRow, Commit, EffectRow, EnvelopeOutcome } from '../../store.ts'
import { toText } from './json-text.ts'
import type { RunRows } from './run-row.ts'

type CommitBody = Omit<Commit, 'run' | 'epoch' | 'expectedPosition'>
/** Where a commit goes, and what must hold for it. */
interface Fence {
  readonly key: number
  readonly epoch: number
  readonly position: number
}

/** Writes a commit; false, with nothing written, where the epoch or the position of the run is another. */
export type CommitWriter = (fence: Fence, body: CommitBody) => boolean

export function commitWriter(db: Database, runs: RunRows): CommitWriter {
  const head = db.prepare(`UPDATE head SET position = ?, hash = coalesce(?, hash), run_ms = ?, wall_ms = ?, seq = ?, effects = ?, timers = ?
    WHERE run = ? AND epoch = ? AND position = ?`)
  const journal = db.prepare('INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const writeCell = cellWriter(db)
  const snapshot = db.prepare(`INSERT INTO snapshot VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
    SET json = excluded.json, hash = excluded.hash, status = excluded.status, value = excluded.value, tags = excluded.tags`)
  const writeEffect = effectWriter(db)
  const writeEnvelopes = envelopeWriter(db)
  const timers = lifeWriter(db, 'timer')
  const asks = lifeWriter(db, 'ask')
  const writeThreads = threadWriter(db)
  const request = db.prepare('UPDATE request SET died = ? WHERE request = ? AND run = ? AND died IS NULL')

  return ({ key, epoch, position }, body) => {
    const last = position + body.journal.length
    const { clock, counters } = body
    const hash = body.journal.at(-1)?.hash ?? null
    const fenced = head.run(last, hash, clock.runMs, clock.wallMs, counters.seq, counters.effects, counters.timers, key, epoch, position)
    if (fenced.changes !== 1) return false
    body.journal.forEach((entry, index) => {
      if (entry.pos !== position + 1 + index) throw gap(entry.pos, position + 1 + index)
      journal.run(key, entry.pos, entry.at, entry.type, entry.path, entry.inc, entry.cause, entry.data, entry.hash)
    })
    for (const row of body.cells) writeCell(key, row, last)
    for (const { address, incarnation, born, snapshot: s } of body.snapshots) {
      snapshot.run(
        key,
        address,
        incarnation,
        born,
        s.json,
        s.hash,
        s.status,
        toText(s.value, `state of ${address}`),
        toText(s.tags, `tags of ${address}`),
      )
    }
    for (const { effect, changed } of body.effects) writeEffect(key, effect, changed)
    writeEnvelopes(key, body.envelopesAdded, body.envelopesDone)
    for (const { timer, born } of body.timersSet) timers.add(key, timer.timer, born, timer)
    for (const { timer, died } of body.timersDone) timers.end(key, timer, died)
    for (const { ask, born } of body.asksAdded) asks.add(key, ask.ask, born, ask)
    for (const { ask, died } of body.asksDone) asks.end(key, ask, died)
    writeThreads(key, body.threadAppends)
    for (const number of body.requestsDone) request.run(last, number, key)
    if (body.run_ !== null) runs.change(key, body.run_)
    return true
  }
}

/** The numbers of a commit and of its run do not meet. */
export function gap(found: number, wanted: number): Defect {
  return new Defect('E_JOURNAL_GAP', `journal position ${found} was given where ${wanted} is next`)
}

/** A late row of an older life is kept, and stays behind the newer one. Where an address was gone, whoever comes next is its newest life. */
function cellWriter(db: Database): (key: number, row: CellRow, born: number) => void {
  const close = db.prepare('UPDATE cell SET live = 0 WHERE run = ? AND address = ? AND live = 1 AND incarnation <= ?')
  const add = db.prepare(`INSERT INTO cell VALUES (@key, @address, @incarnation, @born,
      iif(@gone, 0, NOT EXISTS (SELECT 1 FROM cell WHERE run = @key AND address = @address AND live = 1 AND incarnation > @incarnation)), @data)
    ON CONFLICT DO UPDATE SET live = excluded.live, data = excluded.data`)
  return (key, row, born) => {
    const { address, incarnation, status } = row
    close.run(key, address, incarnation)
    add.run({ key, address, incarnation, born, gone: Number(status === 'gone'), data: toText(row, address) })
  }
}

/** An effect's input may be large and never changes in practice: a version repeats it only where it differs from the version before. */
function effectWriter(db: Database): (key: number, effect: EffectRow, changed: number) => void {
  const close = db.prepare('UPDATE effect SET open = 0 WHERE run = ? AND id = ? AND open = 1')
  const add = db.prepare(`INSERT INTO effect VALUES (@key, @id, @changed, @open,
      nullif(@input, (SELECT input FROM effect WHERE run = @key AND id = @id AND changed < @changed AND input IS NOT NULL ORDER BY changed DESC LIMIT 1)),
      @output, @data)
    ON CONFLICT DO UPDATE SET open = excluded.open, input = excluded.input, output = excluded.output, data = excluded.data`)
  return (key, effect, changed) => {
    const { input, output, ...rest } = effect
    close.run(key, effect.id)
    add.run({
      key,
      id: effect.id,
      changed,
      open: Number(OPEN.includes(effect.status)),
      input: toText(input, `input of ${effect.id}`),
      output: output === undefined ? null : toText(output, `output of ${effect.id}`),
      data: toText(rest, effect.id),
    })
  }
}

/** An envelope that is added and done in one commit is written once, already dead, and never enters the index of open ones. */
function envelopeWriter(db: Database): (key: number, added: Commit['envelopesAdded'], done: Commit['envelopesDone']) => void {
  const add = db.prepare('INSERT INTO envelope VALUES (?, ?, ?, ?, ?, ?)')
  const end = db.prepare('UPDATE envelope SET died = ?, outcome = ? WHERE run = ? AND seq = ? AND died IS NULL')
  return (key, added, done) => {
    const ends = new Map<number, { readonly died: number; readonly outcome: EnvelopeOutcome }>()
    for (const { seq, died, outcome } of done) ends.set(seq, { died, outcome })
    for (const { envelope, born } of added) {
      const known = ends.get(envelope.seq)
      ends.delete(envelope.seq)
      add.run(key, envelope.seq, born, known?.died ?? null, known?.outcome ?? null, toText(envelope, `envelope ${envelope.seq}`))
    }
    for (const [seq, { died, outcome }] of ends) end.run(died, outcome, key, seq)
  }
}

interface LifeWriter {
  add(key: number, id: number, born: number, row: unknown): void
  end(key: number, id: number, died: number): void
}

/** Rows that are born once and die once. */
function lifeWriter(db: Database, table: 'timer' | 'ask'): LifeWriter {
  const add: Statement = db.prepare(`INSERT INTO ${table} VALUES (?, ?, ?, NULL, ?)`)
  const end: Statement = db.prepare(`UPDATE ${table} SET died = ? WHERE run = ? AND ${table} = ? AND died IS NULL`)
  return {
    add: (key, id, born, row) => void add.run(key, id, born, toText(row, `${table} ${id}`)),
    end: (key, id, died) => void end.run(died, key, id),
  }
}

function threadWriter(db: Database): (key: number, appends: Commit['threadAppends']) => void {
  const length = db
    .prepare<[number, string], number>('SELECT coalesce(max(place), -1) + 1 FROM thread WHERE run = ? AND thread = ?')
    .pluck()
  const add = db.prepare('INSERT INTO thread VALUES (?, ?, ?, ?, ?)')
  return (key, appends) => {
    for (const { thread, items, born } of appends) {
      let place = length.get(key, thread)!
      for (const item of items) add.run(key, thread, place++, born, item)
    }
  }
}
