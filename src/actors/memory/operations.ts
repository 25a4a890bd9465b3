/**
 * Writes operations into the file. All of it runs inside one transaction, which the queue's batch is; what throws takes the whole batch back.
 *
 *   key is there: nothing      not there: written, and the key with it
 *
 * What looks like a credential is taken out before it is stored (`redacted`), and long texts are cut: a memory is no archive.
 */
import { createHash } from 'node:crypto'
import type { Database } from 'better-sqlite3'
import { MEMORY_TEXT_CHARS_MAX } from '../../limits.ts'
import { head } from '../../machines/work.ts'
import { redacted } from '../../secrets.ts'
import type { Operation } from '../memory.ts'

/** An operation and when it was asked for. */
export interface Stamped {
  readonly operation: Operation
  readonly atMs: number
}

/** Names of fields that are compared and never read: they are hashed, so that two of them that look like credentials stay two. */
const KEYS = ['key', 'mission']

/** An operation as it is stored: no credential in any of its texts, and none of them longer than is kept. */
export function cleaned(operation: Operation): Operation {
  const clean = ([name, text]: readonly [string, string]): readonly [string, string] => {
    if (name === 'type') return [name, text]
    return [name, KEYS.includes(name) ? createHash('sha256').update(text).digest('base64url') : head(redacted(text), MEMORY_TEXT_CHARS_MAX)]
  }
  return Object.fromEntries(Object.entries(operation).map(clean)) as Operation
}

type Of<Type extends Operation['type']> = Extract<Operation, { type: Type }>

/** The statements of one file, prepared once. */
export function operationWriter(db: Database): (batch: readonly Stamped[]) => void {
  const mark = db.prepare<[string, number]>('INSERT OR IGNORE INTO written (key, at_ms) VALUES (?, ?)')
  const mission = missions(db)
  const graph = entities(db)
  const addFact = db.prepare('INSERT INTO fact (text, source, at_ms) VALUES (?, ?, ?)')
  const addWords = db.prepare('INSERT INTO fact_words (rowid, text) VALUES (?, ?)')
  const write = (operation: Operation, atMs: number): void => {
    if (operation.type === 'LOG_MISSION') mission.log(operation, atMs)
    else if (operation.type === 'ADD_FILE_SNAPSHOT') mission.addFile(operation, atMs)
    else if (operation.type === 'ADD_ENTITY') graph.add(operation, atMs)
    else if (operation.type === 'ADD_RELATIONSHIP') graph.relate(operation, atMs)
    else {
      const { lastInsertRowid } = addFact.run(operation.text, operation.source, atMs)
      addWords.run(lastInsertRowid, operation.text)
    }
  }
  return (batch) => {
    for (const { operation, atMs } of batch) if (mark.run(operation.key, atMs).changes === 1) write(operation, atMs)
  }
}

function missions(db: Database) {
  const add = db.prepare('INSERT INTO mission (key, run, item, goal, outcome, summary, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)')
  const addWords = db.prepare("INSERT INTO mission_words (rowid, text, files) VALUES (?, ?, '')")
  // A mission that is not there makes a NULL, which the table refuses.
  const addFile = db.prepare(
    'INSERT INTO file_snapshot (mission, path, tree, at_ms) VALUES ((SELECT id FROM mission WHERE key = ?), ?, ?, ?)',
  )
  const addFileWords = db.prepare("UPDATE mission_words SET files = files || ' ' || ? WHERE rowid = (SELECT id FROM mission WHERE key = ?)")
  return {
    log({ key, run, item, goal, outcome, summary }: Of<'LOG_MISSION'>, atMs: number): void {
      const { lastInsertRowid } = add.run(key, run, item, goal, outcome, summary, atMs)
      addWords.run(lastInsertRowid, missionText({ item, goal, summary }))
    },
    addFile(snapshot: Of<'ADD_FILE_SNAPSHOT'>, atMs: number): void {
      addFile.run(snapshot.mission, snapshot.path, snapshot.tree, atMs)
      addFileWords.run(snapshot.path, snapshot.mission)
    },
  }
}

/** What an episode is found by, beside its files. */
const missionText = ({ item, goal, summary }: { item: string; goal: string; summary: string }): string => `${item}: ${goal}\n${summary}`

function entities(db: Database) {
  const put = db.prepare(
    `INSERT INTO entity (name, kind, text, at_ms) VALUES (?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, text = excluded.text, at_ms = excluded.at_ms`,
  )
  const putFact = db
    .prepare<[string, string, string, number], number>(
      `INSERT INTO fact (entity, text, source, at_ms) VALUES (?, ?, ?, ?)
     ON CONFLICT (entity) DO UPDATE SET text = excluded.text, at_ms = excluded.at_ms RETURNING id`,
    )
    .pluck()
  const dropWords = db.prepare('DELETE FROM fact_words WHERE rowid = ?')
  const addWords = db.prepare('INSERT INTO fact_words (rowid, text) VALUES (?, ?)')
  const dropVectors = db.prepare("DELETE FROM vector WHERE about = 'fact' AND id = ?")
  const relate = db.prepare('INSERT OR IGNORE INTO relationship (source, relation, target, at_ms) VALUES (?, ?, ?, ?)')
  return {
    /** An entity is found like a fact. Said again, it is what was said last. */
    add({ name, kind, text }: Of<'ADD_ENTITY'>, atMs: number): void {
      put.run(name, kind, text, atMs)
      const words = `${name} (${kind})${text === '' ? '' : `: ${text}`}`
      const id = putFact.get(name, words, 'graph', atMs)
      dropWords.run(id)
      addWords.run(id, words)
      dropVectors.run(id)
    },
    relate({ source, relation, target }: Of<'ADD_RELATIONSHIP'>, atMs: number): void {
      relate.run(source, relation, target, atMs)
    },
  }
}
