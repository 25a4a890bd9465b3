/** Snapshots without an engine, and what a store makes of one: texts by hash, from which it is put together again. */
import { createMachine } from 'xstate'
import type { Chunk, EncodedSnapshot } from '../../src/runtime/cell.ts'
import { refsIn } from '../../src/runtime/chunks.ts'
import type { LiveSnapshot } from '../../src/runtime/host.ts'

export const machine = createMachine({ id: 'm', initial: 'a', context: {}, states: { a: {} } })

/** A snapshot of {@link machine} with this context, as a step would leave it. */
export function liveWith(context: unknown, output?: unknown): LiveSnapshot {
  const live = { status: 'active', value: 'a', context, output, children: {}, historyValue: {}, tags: new Set(), machine }
  return live as unknown as LiveSnapshot
}

/** All chunks of a snapshot, each once. */
export function chunksBelow(chunks: readonly Chunk[] = [], known = new Map<string, Chunk>()): Map<string, Chunk> {
  for (const chunk of chunks) {
    if (known.has(chunk.hash)) continue
    known.set(chunk.hash, chunk)
    chunksBelow(chunk.chunks, known)
  }
  return known
}

/** As another process reads it: the same texts, no object in common. */
export function stored(encoded: EncodedSnapshot): EncodedSnapshot {
  const texts = new Map([...chunksBelow(encoded.chunks)].map(([hash, { text }]) => [hash, text]))
  const loaded = new Map<string, Chunk>()
  const load = (hash: string): Chunk => {
    const text = texts.get(hash)
    if (text === undefined) throw new Error(`no chunk ${hash}`)
    const chunk = loaded.get(hash) ?? { hash, text, chunks: refsIn(text).map(load) }
    loaded.set(hash, chunk)
    return chunk
  }
  const chunks = refsIn(encoded.json).map(load)
  return { ...encoded, ...(chunks.length === 0 ? {} : { chunks }) }
}
