/** The check of a store in memory: its chains, its numbers and, deep, the content of every snapshot. It finds mistakes of programs; disks have no part in it. */
import { hash } from 'node:crypto'
import type { Chunk } from '../../cell.ts'
import { firstBreak } from '../../journal.ts'
import type { CheckReport } from '../../store.ts'
import { MEMORY_PATH } from './refusals.ts'
import type { MemoryRun } from './run.ts'

type Finding = CheckReport['findings'][number]

/** Never throws for what it finds. */
export function checkRuns(runs: readonly MemoryRun[], deep: boolean): CheckReport {
  return {
    path: MEMORY_PATH,
    deep,
    runs: runs.length,
    entries: runs.reduce((sum, { entries }) => sum + entries.length, 0),
    blobs: runs.reduce((sum, { chunks }) => sum + chunks.size, 0),
    findings: runs.flatMap((run) => [...journalFindings(run), ...(deep ? snapshotFindings(run) : [])]),
  }
}

function journalFindings({ run, entries, anchor, head }: MemoryRun): Finding[] {
  const found = (position: number, what: string): Finding[] => [{ run, code: 'E_STORE_DAMAGED', what, position }]
  const broken = firstBreak(entries, anchor.hash)
  if (broken !== null) return found(broken.pos, `entry ${broken.pos} does not fit the chain`)
  const last = entries.at(-1) ?? { pos: anchor.position, hash: anchor.hash }
  if (last.pos === head.position && last.hash === head.hash) return []
  return found(last.pos, `the journal ends at ${last.pos}, and not at ${head.position} as the run's row says`)
}

function snapshotFindings({ run, snapshots }: MemoryRun): Finding[] {
  const findings: Finding[] = []
  for (const [address, rows] of snapshots) {
    for (const { position, snapshot } of rows) {
      if (isWhole(snapshot.json, snapshot.hash, snapshot.chunks ?? [])) continue
      findings.push({
        run,
        code: 'E_SNAPSHOT_DAMAGED',
        what: `the snapshot of ${address} at ${position} is not what its hash says`,
        position,
      })
    }
  }
  return findings
}

function isWhole(text: string, sum: string, chunks: readonly Chunk[]): boolean {
  return hash('sha256', text, 'hex') === sum && chunks.every((chunk) => isWhole(chunk.text, chunk.hash, chunk.chunks))
}
