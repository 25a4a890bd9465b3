/**
 * What makes damage loud: a checksum in every row, and one number in `head` for all that is open.
 *
 *   row.sum     CRC-32 of the row's key and content; its death adds the CRC-32 of the death, so a death is written without reading the content
 *   item.sum    of a thread: over the item and the sum before it, so the last one stands for all
 *   digest      sum modulo 2^48 over a run of       row.sum   of open envelopes, timers, asks, open effects, current cells, machines
 *                                                   pin       of each current cell that has a snapshot: address, incarnation, position of the newest
 *                                                   pin       of each thread: name, length, sum of the last item
 *
 * Invariants:
 * - A row whose content does not give its sum is damaged, whoever reads it. A row that is missing, came back from an earlier time, or is not in its index
 *   any more has a sum too, and no reader would notice: the digest does, because a commit adds what is born to it and subtracts what dies.
 * - Addition has no order, so a commit costs what it changes, and {@link digestOf} may read in any order.
 */
import { crc32 } from 'node:zlib'

/** A value as it stands in a column. Hashes are given as hex text where both sides have it so. */
export type Column = string | number | null | Uint8Array

const DIGEST_MODULUS = 2 ** 48
const SUM_MODULUS = 2 ** 32

/** CRC-32 of some columns, in their order. Text and numbers that look alike do not give the same. */
export function sumOf(...columns: readonly Column[]): number {
  let text = ''
  for (const column of columns) {
    if (column === null) text += '\0-'
    else if (typeof column === 'number') text += `\0${column}`
    else if (typeof column === 'string') text += `\0"${column}`
    else text += `\0#${Buffer.from(column.buffer, column.byteOffset, column.byteLength).toString('hex')}`
  }
  return crc32(text)
}

/** A hash as it stands in a column, in hex. On a damaged page anything may stand there: then it is a text that no hash equals, and no sum fits. */
export function hexOf(column: unknown): string {
  return column instanceof Uint8Array
    ? Buffer.from(column.buffer, column.byteOffset, column.byteLength).toString('hex')
    : `no hash: ${column}`
}

/** What a death adds to the sum of a row, modulo 2^32. */
export function deathOf(died: number, outcome: string | null = null): number {
  return sumOf(died, outcome)
}

/** The sum of a row that is dead, from the one it had while it lived. */
export function withDeath(sum: number, died: number, outcome: string | null = null): number {
  return (sum + deathOf(died, outcome)) % SUM_MODULUS
}

/** The sum that a dead row had while it lived. */
export function beforeDeath(sum: number, died: number, outcome: string | null = null): number {
  return (sum + SUM_MODULUS - deathOf(died, outcome)) % SUM_MODULUS
}

/** What a current cell adds to the digest beside its row: where its newest snapshot stands. 0 where it has none. */
export function snapshotPin(address: string, incarnation: number, position: number): number {
  return position === 0 ? 0 : sumOf(address, incarnation, position)
}

/** What a thread adds to the digest. */
export function threadPin(name: string, length: number, last: number): number {
  return sumOf(name, length, last)
}

/** SQL for a row that dies: `SET ... WHERE`. The parameters are `died` and {@link deathOf} it. */
export const DIES = 'died = ?, sum = (sum + ?) & 4294967295'

/** Is this the sum of the row? A dead row was summed before its death. */
export function holds(sum: number, columns: number, died: number | null = null, outcome: string | null = null): boolean {
  return sum === (died === null ? columns : withDeath(columns, died, outcome))
}

/** The digest of a run, while a commit changes it. */
export class Tally {
  digest: number

  constructor(digest: number) {
    this.digest = digest
  }
  /** Something is open from now on: the sum of its row, or its pin. */
  born(sum: number): void {
    this.digest = (this.digest + sum) % DIGEST_MODULUS
  }
  /** It was open until now. */
  died(sum: number): void {
    this.digest = (this.digest + DIGEST_MODULUS - sum) % DIGEST_MODULUS
  }
}
