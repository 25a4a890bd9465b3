/**
 * The write path: one commit as rows. Called inside a transaction; every statement is prepared once for the life of the handle.
 *
 *   head (fence: epoch and position)  ->  journal with snapshots  ->  cells, effects  ->  births and deaths  ->  threads, machines, run  ->  head advanced
 *
 * Where the fence does not hold nothing has been written, and the write lock keeps it so. What is open is added to the digest as it is born and taken
 * out as it dies; the head then says where the journal ends, what everything open adds up to, and, each {@link SEAL_ENTRIES} entries, where the next
 * check may begin.
 */
import { SEAL_ENTRIES } from '../../../limits.ts'
import type { Commit } from '../../store.ts'
import type { Head } from './head.ts'
import type { Rows } from './rows.ts'
import { Tally } from './sums.ts'

type CommitBody = Omit<Commit, 'run' | 'epoch' | 'expectedPosition'>
/** Where a commit goes, and what must hold for it. */
interface Fence {
  readonly key: number
  readonly epoch: number
  readonly position: number
}

/**
 * Writes a commit; false, with nothing written, where the epoch or the position of the run is another.
 * @throws {Defect} `E_JOURNAL_GAP`, `E_COMMIT_INVALID`, `E_NOT_JSON`, `E_STORE_CONSTRAINT`: the transaction must be rolled back.
 */
export type CommitWriter = (fence: Fence, body: CommitBody) => boolean

export function commitWriter(rows: Rows): CommitWriter {
  return ({ key, epoch, position }, body) => {
    const head = rows.heads.before(key)
    if (head.epoch !== epoch || head.position !== position) return false
    const last = position + body.journal.length
    const tally = new Tally(head.digest)
    const pins = rows.pins.touch(key, epoch, position)
    rows.journal.append(key, position, body)
    rows.cells.write(key, body.cells, last, pins, tally)
    for (const { address, incarnation, born } of body.snapshots) pins.taken(address, incarnation, born)
    pins.settle(last, tally)
    rows.effects.write(key, body.effects, tally)
    writeOpen(rows, key, body, tally)
    rows.threads.append(key, body.threadAppends, tally)
    for (const request of body.requestsDone) rows.requests.end(key, request, last)
    if (body.machines !== undefined) rows.machines.write(key, body.machines, last, tally)
    if (body.run_ !== null) rows.runs.change(key, body.run_)
    rows.heads.advance(key, { ...head, ...seal(head, body), ...body.clock, ...body.counters, ...end(head, body), digest: tally.digest })
    return true
  }
}

function writeOpen(rows: Rows, key: number, body: CommitBody, tally: Tally): void {
  for (const { envelope, born } of body.envelopesAdded) rows.envelopes.add(key, envelope.seq, born, envelope, tally)
  for (const { seq, died, outcome } of body.envelopesDone) rows.envelopes.end(key, seq, died, tally, outcome)
  for (const { timer, born } of body.timersSet) rows.timers.add(key, timer.timer, born, timer, tally)
  for (const { timer, died } of body.timersDone) rows.timers.end(key, timer, died, tally)
  for (const { ask, born } of body.asksAdded) rows.asks.add(key, ask.ask, born, ask, tally)
  for (const { ask, died } of body.asksDone) rows.asks.end(key, ask, died, tally)
}

function end({ position, hash }: Head, { journal }: CommitBody): Pick<Head, 'position' | 'hash'> {
  return { position: position + journal.length, hash: journal.at(-1)?.hash ?? hash }
}

/** The newest entry whose position is a round number, where this commit wrote one. */
function seal({ position, seal, sealHash }: Head, { journal }: CommitBody): Pick<Head, 'seal' | 'sealHash'> {
  const round = Math.floor((position + journal.length) / SEAL_ENTRIES) * SEAL_ENTRIES
  return round > position ? { seal: round, sealHash: journal[round - position - 1]!.hash } : { seal, sealHash }
}
