/** The hash chain: a changed byte anywhere is found, and where it is found is at or before every entry that could be believed. */
import { array, assert, constantFrom, integer, option, property, record, string, tuple } from 'fast-check'
import { expect, test } from 'vitest'
import { chain, firstBreak, type JournalEntry, type UnsealedEntry } from '../../src/runtime/journal.ts'

const text = string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter((value) => !value.includes('\0'))
const unsealed = record({
  at: integer({ min: 0 }),
  type: text,
  path: option(text),
  inc: option(integer({ min: 1, max: 99 })),
  cause: option(integer({ min: 1, max: 99 })),
  data: text,
})

function seal(bodies: readonly Omit<UnsealedEntry, 'pos'>[]): JournalEntry[] {
  let hash = ''
  return bodies.map((body, index) => {
    const entry = { ...body, pos: index + 1 }
    hash = chain(hash, entry)
    return { ...entry, hash }
  })
}

const journals = array(unsealed, { minLength: 1, maxLength: 8 }).map(seal)
const FIELDS = ['pos', 'at', 'type', 'path', 'inc', 'cause', 'data', 'hash'] as const

/** One character, or one count, is another than before. */
function changed(entry: JournalEntry, field: (typeof FIELDS)[number], place: number, by: number): JournalEntry {
  const value = entry[field]
  if (typeof value === 'number') return { ...entry, [field]: value + by }
  if (value === null) return { ...entry, [field]: field === 'path' ? '/x' : by }
  const at = place % value.length
  const other = String.fromCharCode((value.charCodeAt(at) % 0x7e) + 1)
  const swapped = other === value[at] ? String.fromCharCode(((value.charCodeAt(at) + 1) % 0x7e) + 1) : other
  return { ...entry, [field]: value.slice(0, at) + swapped + value.slice(at + 1) }
}

test('a journal that nobody touched has no break', () => {
  assert(
    property(journals, (entries) => {
      expect(firstBreak(entries)).toBeNull()
    }),
  )
})

test('a changed character in any field of any entry is found at that entry or, for its hash, there too', () => {
  const cases = tuple(
    journals,
    constantFrom(...FIELDS),
    integer({ min: 0, max: 99 }),
    integer({ min: 0, max: 99 }),
    integer({ min: 1, max: 9 }),
  )
  assert(
    property(cases, ([entries, field, which, place, by]) => {
      const index = which % entries.length
      const touched = entries.with(index, changed(entries[index]!, field, place, by))
      expect(firstBreak(touched)?.hash).toBe(touched[index]!.hash)
    }),
    { numRuns: 500 },
  )
})

test('an entry that is taken out, doubled or swapped with its neighbour breaks the chain', () => {
  const long = array(unsealed, { minLength: 3, maxLength: 8 }).map(seal)
  assert(
    property(long, integer({ min: 0, max: 99 }), constantFrom('taken out', 'doubled', 'swapped'), (entries, which, how) => {
      const index = which % (entries.length - 1) // Taking out the last one only makes it shorter: the run's row knows its end.
      const [one, next] = [entries[index]!, entries[index + 1]!]
      const touched = entries.toSpliced(index, 2, ...(how === 'taken out' ? [next] : how === 'doubled' ? [one, one, next] : [next, one]))
      expect(firstBreak(touched)).not.toBeNull()
    }),
  )
})

test('a part of a journal is checked from the hash before it', () => {
  assert(
    property(journals, integer({ min: 0, max: 99 }), (entries, which) => {
      const from = which % entries.length
      expect(firstBreak(entries.slice(from), from === 0 ? '' : entries[from - 1]!.hash)).toBeNull()
    }),
  )
})
