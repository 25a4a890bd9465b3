/** Where a report comes from: without it a figure means nothing. */
import { statfsSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import Database from 'better-sqlite3'

const TMPFS = 0x01021994

/** @param folder  where the files are written. */
export function environment(folder: string) {
  const db = new Database(':memory:')
  const sqlite = String(db.prepare('SELECT sqlite_version()').pluck().get())
  db.close()
  return {
    processor: cpus()[0]?.model.trim() ?? '?',
    cores: cpus().length,
    load1m: loadavg()[0] ?? 0,
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    sqlite,
    tmpfs: statfsSync(folder).type === TMPFS,
    at: new Date().toISOString(),
  }
}
