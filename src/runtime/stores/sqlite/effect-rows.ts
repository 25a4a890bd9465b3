/**
 * Effects: a row for each version, of which the last is current. Open: current, and its side of the world is not settled.
 *
 *   e12   owed [4, 5)    started [5, 9)    succeeded [9, ...        input: with the first; the others name its row in `same` while it is equal
 *
 * An input may be large and does not change in practice. Ids are `e` and a number, which is what the key holds.
 */
import type { Database } from 'better-sqlite3'
import { Defect } from '../../../errors.ts'
import { OPEN } from '../../status.ts'
import type { Commit, EffectRow } from '../../store.ts'
import type { Blobs, Stored } from './blob.ts'
import { damagedRow } from './errors.ts'
import { fromText, toText } from './json-text.ts'
import { lastKey, numberOf, rowKey, runOf } from './keys.ts'
import { beforeDeath, DIES, deathOf, holds, sumOf, type Tally } from './sums.ts'

export interface EffectColumns {
  readonly id: number
  readonly n: number
  readonly open: number
  readonly born: number
  readonly died: number | null
  /** The row that holds the input, where this one does not. */
  readonly same: number | null
  readonly sum: number
  readonly data: string
  readonly input: Stored | null
  readonly output: Stored | null
}

export interface EffectRows {
  write(key: number, effects: Commit['effects'], tally: Tally): void
  /** In the order in which they were owed. */
  openNow(key: number): readonly EffectRow[]
  allNow(key: number): readonly EffectRow[]
  /** All effects that there were at a position. `end` is the last position of its commit. */
  allAt(key: number, at: number, end: number): readonly EffectRow[]
}

export function effectRows(db: Database, blobs: Blobs): EffectRows {
  const newest = db.prepare<[number, number], number | null>('SELECT max(id) FROM effect WHERE id > ? AND id <= ?').pluck()
  const die = db.prepare<[number, number, number, number, number], Pick<EffectColumns, 'id' | 'open' | 'same' | 'sum' | 'input'>>(
    `UPDATE effect SET ${DIES} WHERE n = ? AND died IS NULL AND id > ? AND id <= ? RETURNING id, open, same, sum, input`,
  )
  const inputOf = db.prepare<[number], Stored>('SELECT input FROM effect WHERE id = ?').pluck()
  const insert = db.prepare('INSERT INTO effect VALUES (?, ?, ?, ?, NULL, ?, ?, ?, ?, ?)')
  const openNow = db.prepare<[number, number], EffectColumns>(
    'SELECT * FROM effect INDEXED BY effect_open WHERE died IS NULL AND open = 1 AND id > ? AND id <= ?',
  )
  const range = db.prepare<[number, number], EffectColumns>('SELECT * FROM effect WHERE id > ? AND id <= ? ORDER BY id')
  const one = db.prepare<[number], EffectColumns>('SELECT * FROM effect WHERE id = ?')

  function whole(columns: EffectColumns): EffectColumns {
    if (!isWholeEffect(columns)) throw damagedRow(db, runOf(columns.id), 'effect', `e${columns.n} of position ${columns.born}`)
    return columns
  }
  function decode(columns: EffectColumns): EffectRow {
    const key = runOf(whole(columns).id)
    const holder = columns.same === null ? columns : one.get(columns.same)
    if (holder === undefined || holder.input === null) throw damagedRow(db, key, 'effect', `input of e${columns.n}`)
    const input = fromText(blobs.get(whole(holder).input!, key))
    const output = columns.output === null ? undefined : fromText(blobs.get(columns.output, key))
    return { ...fromText<EffectRow>(columns.data), id: `e${columns.n}`, input, output }
  }
  function write(key: number, nth: number, { effect, changed }: Commit['effects'][number], tally: Tally): void {
    const { id: name, input, output, ...rest } = effect
    const n = numberIn(name)
    const given = blobs.put(toText(input, `input of ${name}`))
    const before = die.get(changed, deathOf(changed), n, rowKey(key, 0), lastKey(key))
    if (before?.open === 1) tally.died(beforeDeath(before.sum, changed))
    const holder = before === undefined ? null : (before.same ?? before.id)
    const isSame = holder !== null && equal(given, before?.input ?? inputOf.get(holder)!)
    const columns = {
      id: rowKey(key, nth),
      n,
      open: Number(OPEN.includes(effect.status)),
      born: changed,
      same: isSame ? holder : null,
      data: toText(rest, name),
      input: isSame ? null : given,
      output: output === undefined ? null : blobs.put(toText(output, `output of ${name}`)),
    }
    const sum = effectSum(columns)
    if (columns.open === 1) tally.born(sum)
    insert.run(columns.id, n, columns.open, changed, columns.same, sum, columns.data, columns.input, columns.output)
  }
  const inOrder = (rows: EffectColumns[]): EffectRow[] => rows.sort((a, b) => a.n - b.n).map(decode)
  return {
    write(key, effects, tally) {
      if (effects.length === 0) return
      let nth = numberOf(newest.get(rowKey(key, 0), lastKey(key)) ?? 0)
      for (const changed of effects) write(key, ++nth, changed, tally)
    },
    openNow: (key) => inOrder(openNow.all(rowKey(key, 0), lastKey(key))),
    allNow: (key) => inOrder(range.all(rowKey(key, 0), lastKey(key)).filter(({ died }) => died === null)),
    allAt(key, at, end) {
      const found: EffectColumns[] = []
      for (const columns of range.iterate(rowKey(key, 0), lastKey(key))) {
        if (whole(columns).born > end) break // As for cells: what comes now came later.
        if (columns.born <= at && (columns.died === null || columns.died > at)) found.push(columns)
      }
      return inOrder(found)
    },
  }
}

export function isWholeEffect(columns: EffectColumns): boolean {
  return holds(columns.sum, effectSum(columns), columns.died)
}

function effectSum(c: Omit<EffectColumns, 'sum' | 'died'>): number {
  return sumOf(c.id, c.n, c.open, c.born, c.same, c.data, c.input, c.output)
}

function numberIn(name: string): number {
  const n = /^e\d{1,10}$/.test(name) ? Number(name.slice(1)) : 0
  if (n === 0) throw new Defect('E_COMMIT_INVALID', `${JSON.stringify(name)} is no id of an effect: e1, e2, ...`)
  return n
}

function equal(a: Stored, b: Stored): boolean {
  return typeof a === 'string' || typeof b === 'string' ? a === b : Buffer.compare(a, b) === 0
}
