/** Damage by hand: a file that is closed is edited byte by byte, or row by row where a bit would be hard to find. What is said of it comes as data. */
import { readFileSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import type { UserError } from '../../../src/errors.ts'

/** What a call throws at a person. */
export function refused(call: () => unknown): UserError {
  try {
    call()
  } catch (error) {
    return error as UserError
  }
  throw new Error('it did not throw')
}

/** Flips the lowest bit of the first byte of the text, at the one place where it stands in the file. Neither log nor handle may be open. */
export function flipBitIn(file: string, text: string): void {
  const bytes = readFileSync(file)
  const at = bytes.indexOf(text)
  expect([text, at >= 0, bytes.indexOf(text, at + 1)]).toEqual([text, true, -1])
  bytes[at]! ^= 1
  writeFileSync(file, bytes)
}

/** Changes rows without their sums, as no program of ours does. */
export function edit(file: string, sql: string): void {
  const db = new Database(file)
  const { changes } = db.prepare(sql).run()
  db.close()
  expect(changes).toBeGreaterThan(0)
}

/** The number of the page that a table or an index begins on, and the size of pages. */
export function rootOf(file: string, name: string): { readonly page: number; readonly bytes: number } {
  const db = new Database(file, { readonly: true })
  try {
    const page = db.prepare<[string], number>('SELECT rootpage FROM sqlite_schema WHERE name = ?').pluck().get(name)!
    return { page, bytes: Number(db.pragma('page_size', { simple: true })) }
  } finally {
    db.close()
  }
}
