/**
 * Threads: append-only lists, such as a conversation. An item's key is its thread and its place, so an append touches one page and needs no index.
 * The sum of an item is over the item and the sum before it: that of the last one stands for the whole thread.
 */
import type { Database } from 'better-sqlite3'
import type { Json } from '../../../json.ts'
import type { Commit } from '../../store.ts'
import type { Blobs, Stored } from './blob.ts'
import { damagedRow } from './errors.ts'
import { fromText } from './json-text.ts'
import { itemKey, lastItemKey, placeOf } from './keys.ts'
import { sumOf, type Tally, threadPin } from './sums.ts'

export interface ThreadColumns {
  readonly k: number
  readonly run: number
  readonly name: string
  readonly sum: number
}
export interface ItemColumns {
  readonly id: number
  readonly born: number
  readonly sum: number
  readonly item: Stored
}

export interface ThreadRows {
  append(key: number, appends: Commit['threadAppends'], tally: Tally): void
  /** Items from a place on. `at`: those that were there at the position; `end` is the last position of its commit. */
  read(key: number, name: string, from: number, at?: { readonly at: number; readonly end: number }): readonly Json[]
}

interface End {
  readonly length: number
  /** Of the last item; 0 where there is none. */
  readonly sum: number
}

export function threadRows(db: Database, blobs: Blobs): ThreadRows {
  const find = db.prepare<[number, string], ThreadColumns>('SELECT * FROM thread WHERE run = ? AND name = ?')
  const create = db.prepare('INSERT INTO thread (k, run, name, sum) VALUES (?, ?, ?, ?)')
  const next = db.prepare<[], number>('SELECT coalesce(max(k), 0) + 1 FROM thread').pluck()
  const last = db.prepare<[number, number], ItemColumns>('SELECT * FROM thread_item WHERE id > ? AND id <= ? ORDER BY id DESC LIMIT 1')
  const add = db.prepare('INSERT INTO thread_item VALUES (?, ?, ?, ?)')
  const one = db.prepare<[number], number>('SELECT sum FROM thread_item WHERE id = ?').pluck()
  const items = db.prepare<[number, number], ItemColumns>('SELECT * FROM thread_item WHERE id >= ? AND id <= ? ORDER BY id')

  function thread(key: number, name: string): number | null {
    const columns = find.get(key, name)
    if (columns === undefined) return null
    if (threadSum(columns) !== columns.sum) throw damagedRow(db, key, 'thread', name)
    return columns.k
  }
  function begin(key: number, name: string): number {
    const k = next.get()!
    create.run(k, key, name, threadSum({ k, run: key, name }))
    return k
  }
  function endOf(k: number): End {
    const columns = last.get(itemKey(k, -1), lastItemKey(k))
    return columns === undefined ? { length: 0, sum: 0 } : { length: placeOf(columns.id) + 1, sum: columns.sum }
  }
  return {
    append(key, appends, tally) {
      for (const { thread: name, items: texts, born } of appends) {
        if (texts.length === 0) continue
        const k = thread(key, name) ?? begin(key, name)
        const before = endOf(k)
        if (before.length > 0) tally.died(threadPin(name, before.length, before.sum))
        let { length, sum } = before
        for (const text of texts) {
          const id = itemKey(k, length++)
          const item = blobs.put(text)
          sum = itemSum({ id, born, item }, sum)
          add.run(id, born, sum, item)
        }
        tally.born(threadPin(name, length, sum))
      }
    },
    read(key, name, from, moment) {
      const k = thread(key, name)
      if (k === null) return []
      const first = itemKey(k, Math.min(Math.max(0, Math.trunc(from)), placeOf(lastItemKey(k))))
      let before = placeOf(first) === 0 ? 0 : one.get(first - 1)
      const texts: Stored[] = []
      for (const columns of items.iterate(first, lastItemKey(k))) {
        if (before === undefined || itemSum(columns, before) !== columns.sum)
          throw damagedRow(db, key, 'thread', `${name}, item ${placeOf(columns.id)}`)
        if (moment !== undefined && columns.born > moment.end) break
        before = columns.sum
        if (moment === undefined || columns.born <= moment.at) texts.push(columns.item)
      }
      return texts.map((item) => fromText(blobs.get(item, key)))
    },
  }
}

/** @param before  the sum of the item before; 0 for the first. */
export function itemSum({ id, born, item }: Omit<ItemColumns, 'sum'>, before: number): number {
  return sumOf(id, born, item, before)
}

export function threadSum({ k, run, name }: Omit<ThreadColumns, 'sum'>): number {
  return sumOf(k, run, name)
}
