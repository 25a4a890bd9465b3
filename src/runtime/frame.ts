/** Journal entries as everybody sees them. */
import type { Frame } from './engine.ts'
import type { JournalEntry } from './journal.ts'

export function frameOf(run: string, entry: JournalEntry): Frame {
  const { pos, type, path, inc, cause } = entry
  return { v: 1, pos, at: new Date(entry.at).toISOString(), run, type, path, inc, cause, data: JSON.parse(entry.data) as Frame['data'] }
}
