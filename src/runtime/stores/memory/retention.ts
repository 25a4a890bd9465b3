/** Forgetting: the history of a run up to a position. What is open stays, numbering goes on, and a hash stays as the anchor of the chain. */
import { keepChunk } from './commit.ts'
import { hashAt, type MemoryRun, type SnapshotText } from './run.ts'

/** Forgets the entries before a position, and what was dead by the one before it, which becomes the anchor. */
export function pruneRun(run: MemoryRun, before: number): void {
  const position = Math.min(before - 1, run.head.position)
  if (position <= run.anchor.position) return
  const anchor = { position, hash: hashAt(run, position) }
  run.entries = run.entries.slice(position - run.anchor.position)
  run.ends = run.ends.filter((end) => end > position)
  run.anchor = anchor
  for (const lives of [run.envelopes, run.timers, run.asks]) lives.forget(position)
  for (const versions of [run.cells, run.effects]) {
    for (const [key, history] of versions) if (history.forget(position)) versions.delete(key)
  }
  for (const [address, rows] of run.snapshots) keepSnapshots(run, address, rows)
  sweepChunks(run)
}

/** Those after the anchor, and at the anchor the one of the life that lived then. */
function keepSnapshots(run: MemoryRun, address: string, rows: readonly SnapshotText[]): void {
  const { position } = run.anchor
  const life = run.cells.get(address)?.at(position)?.row.incarnation
  const standing = rows.findLast((row) => row.position <= position && row.incarnation === life)
  const kept = rows.filter((row) => row.position > position || row === standing)
  if (kept.length === 0) run.snapshots.delete(address)
  else run.snapshots.set(address, kept)
}

function sweepChunks(run: MemoryRun): void {
  run.chunks.clear()
  for (const rows of run.snapshots.values()) {
    for (const { snapshot } of rows) for (const chunk of snapshot.chunks ?? []) keepChunk(run, chunk)
  }
}
