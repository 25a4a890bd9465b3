/** Requests of other processes, which the owner of a run takes up. They are written without owning the run, so its digest leaves them out. */
import type { Database } from 'better-sqlite3'
import type { Json } from '../../../json.ts'
import type { RequestRow } from '../../store.ts'
import type { Blobs, Stored } from './blob.ts'
import { damagedRow } from './errors.ts'
import { fromText, toText } from './json-text.ts'
import { DIES, deathOf, holds, sumOf } from './sums.ts'

export interface RequestColumns {
  readonly request: number
  readonly run: number
  readonly kind: string
  readonly died: number | null
  readonly sum: number
  readonly data: Stored
}

export interface RequestRows {
  /** Gives its number, over all runs. */
  add(key: number, kind: RequestRow['kind'], data: Json): number
  end(key: number, request: number, died: number): void
  /** Those that wait, in order. */
  open(key: number): readonly RequestRow[]
}

export function requestRows(db: Database, blobs: Blobs): RequestRows {
  const next = db.prepare<[], number>('SELECT coalesce(max(request), 0) + 1 FROM request').pluck()
  const insert = db.prepare('INSERT INTO request VALUES (?, ?, ?, NULL, ?, ?)')
  const die = db.prepare(`UPDATE request SET ${DIES} WHERE request = ? AND run = ? AND died IS NULL`)
  const open = db.prepare<[number], RequestColumns>(
    'SELECT * FROM request INDEXED BY request_open WHERE run = ? AND died IS NULL ORDER BY request',
  )
  return {
    add(key, kind, data) {
      const request = next.get()!
      const text = blobs.put(toText(data, 'data'))
      insert.run(request, key, kind, requestSum({ request, run: key, kind, data: text }), text)
      return request
    },
    end: (key, request, died) => void die.run(died, deathOf(died), request, key),
    open: (key) =>
      open.all(key).map((columns) => {
        const { request, kind, data } = columns
        if (!isWholeRequest(columns)) throw damagedRow(db, key, 'request', request)
        return { request, kind: kind as RequestRow['kind'], data: fromText(blobs.get(data, key)) }
      }),
  }
}

export function isWholeRequest(columns: RequestColumns): boolean {
  return holds(columns.sum, requestSum(columns), columns.died)
}

function requestSum({ request, run, kind, data }: Pick<RequestColumns, 'request' | 'run' | 'kind' | 'data'>): number {
  return sumOf(request, run, kind, data)
}
