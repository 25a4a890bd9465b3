/**
 * Reads what chunks.ts has written: parsed text with references in it becomes the value again.
 * Where the value goes on living, what it was built of is noted, so that the first step after a load is as cheap as any other.
 */
import { Defect } from '../../errors.ts'
import { CHUNK_KEY, CONCAT_KEY, REF_KEY } from '../../json.ts'
import type { Chunk } from '../cell.ts'
import { levelsBuilt, partsBuilt, stringsBuilt } from '../chunks.ts'
import { Ref } from '../ref.ts'
import type { Part } from './part.ts'
import type { Levels, Run } from './runs.ts'
import type { LongString } from './strings.ts'

/** A stretch of a list while it is put together. */
interface Stretch {
  readonly values: unknown[]
  readonly levels: Run[][]
}

/**
 * Turns parsed JSON, of which the caller keeps no other reference, into the value that it stands for.
 * @param alive  actor references become {@link Ref}s, equal parts one object, and what was built of what is noted: for a value that is frozen next.
 * Otherwise everything is plain data of its own.
 * @throws {Defect} `E_SNAPSHOT_DAMAGED` where a chunk is missing.
 */
export function opened(parsed: unknown, chunks: readonly Chunk[], alive: boolean): unknown {
  return new Opening(chunks, alive).member(parsed)
}

class Opening {
  readonly #chunks = new Map<string, Chunk>()
  readonly #values = new Map<string, unknown>()
  readonly #longStrings = new Map<string, LongString>()
  readonly #alive: boolean

  constructor(chunks: readonly Chunk[], alive: boolean) {
    this.#alive = alive
    this.#know(chunks)
  }

  #know(chunks: readonly Chunk[]): void {
    for (const chunk of chunks) {
      if (this.#chunks.has(chunk.hash)) continue
      this.#chunks.set(chunk.hash, chunk)
      this.#know(chunk.chunks)
    }
  }

  #chunk(reference: unknown): Chunk {
    const chunk = this.#chunks.get(String(reference))
    if (chunk === undefined) throw new Defect('E_SNAPSHOT_DAMAGED', `a part of a snapshot is missing: chunk ${String(reference)}`)
    return chunk
  }

  member(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value
    const stored = value as Record<string, unknown>
    if (Object.hasOwn(stored, CHUNK_KEY)) return this.#apart(this.#chunk(stored[CHUNK_KEY]))
    if (Object.hasOwn(stored, CONCAT_KEY)) return this.#list(stored)
    if (this.#alive && typeof stored[REF_KEY] === 'string')
      return new Ref(stored[REF_KEY], stored['incarnation'] as number, String(stored['id']))
    return this.#inside(stored)
  }

  /** The members of an array or object, in place. */
  #inside(stored: Record<string, unknown>): unknown {
    let strings: Map<string | number, LongString> | undefined
    for (const key of Object.keys(stored)) {
      const was = stored[key]
      if (typeof was !== 'object' || was === null) continue
      const is = this.member(was)
      if (is !== was) stored[key] = is
      if (typeof is !== 'string' || !this.#alive) continue
      strings ??= new Map()
      strings.set(Array.isArray(stored) ? Number(key) : key, this.#longStrings.get(is)!)
    }
    if (strings !== undefined) stringsBuilt.set(stored, strings)
    return stored
  }

  #apart(chunk: Chunk): unknown {
    if (this.#values.has(chunk.hash)) return this.#values.get(chunk.hash)
    const value = this.member(JSON.parse(chunk.text))
    if (!this.#alive) return value
    this.#values.set(chunk.hash, value)
    const isList = chunk.text.startsWith(`{"${CONCAT_KEY}"`)
    const part: Part = { text: chunk.text, chunks: chunk.chunks, isList, chunk }
    if (typeof value === 'object' && value !== null) partsBuilt.set(value, part)
    else if (typeof value === 'string')
      this.#longStrings.set(value, { text: value, part, levels: this.#longStrings.get(value)?.levels ?? [] })
    return value
  }

  #list(stored: Readonly<Record<string, unknown>>): unknown {
    const text = this.#alive ? JSON.stringify(stored) : ''
    const stretch: Stretch = { values: [], levels: [] }
    const chunks: Chunk[] = []
    for (const part of stored[CONCAT_KEY] as readonly unknown[]) {
      const hash = typeof part === 'object' && part !== null ? (part as Record<string, unknown>)[CHUNK_KEY] : undefined
      if (hash === undefined) stretch.values.push(this.member(part))
      else {
        chunks.push(this.#chunk(hash))
        this.#run(chunks.at(-1)!, stretch)
      }
    }
    const value = joined(stretch.values)
    const levels: Levels = stretch.levels
    if (!this.#alive) return value
    if (typeof value === 'object') levelsBuilt.set(value, levels)
    else this.#longStrings.set(value, { text: value, part: { text, chunks, isList: true }, levels })
    return value
  }

  /** Takes a run and those below it apart. Returns its level. */
  #run(chunk: Chunk, into: Stretch): number {
    const parsed: unknown = JSON.parse(chunk.text)
    const below = typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>)[CONCAT_KEY] : undefined
    let level = 0
    let count: number
    if (below === undefined) {
      const value = this.member(parsed)
      into.values.push(value)
      count = lengthOf(value)
    } else {
      const runs = below as readonly Record<string, unknown>[]
      for (const run of runs) level = this.#run(this.#chunk(run[CHUNK_KEY]), into) + 1
      count = runs.length
    }
    while (into.levels.length <= level) into.levels.push([])
    into.levels[level]!.push({ count, chunk })
    return level
  }
}

const lengthOf = (value: unknown): number =>
  typeof value === 'string' || Array.isArray(value) ? value.length : Object.keys(value as object).length

function joined(values: readonly unknown[]): object | string {
  const [first] = values
  if (typeof first === 'string') return values.join('')
  if (Array.isArray(first)) return values.flat(1)
  const all: Record<string, unknown> = {}
  for (const value of values) {
    for (const key of Object.keys(value as object)) {
      // An assignment to this one key would set the prototype.
      if (key === '__proto__')
        Object.defineProperty(all, key, {
          value: (value as Record<string, unknown>)[key],
          writable: true,
          enumerable: true,
          configurable: true,
        })
      else all[key] = (value as Record<string, unknown>)[key]
    }
  }
  return all
}
