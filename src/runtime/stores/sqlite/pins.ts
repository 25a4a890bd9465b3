/**
 * Which life an address has now and where its newest snapshot stands: what a commit must know to keep the digest, for each address that it touches.
 * Kept in memory for actors that step often, within bounds; else two seeks.
 *
 * What was kept under one epoch is of no use under another: somebody else may have committed meanwhile.
 */
import type { CellRows, Lives } from './cell-rows.ts'
import type { JournalRows } from './journal-rows.ts'
import { snapshotPin, type Tally } from './sums.ts'
import type { Transactions } from './transaction.ts'

/** Addresses that are kept, over all runs of a handle. */
const PINS_MAX = 8_192

interface Pin {
  /** Null: nobody lives there. */
  readonly life: number | null
  /** 0: no snapshot. */
  readonly position: number
  /** What it adds to the digest. */
  readonly sum: number
}

/** The pins of one commit. */
interface TouchedPins extends Lives {
  /** A snapshot of this life was written. */
  taken(address: string, incarnation: number, position: number): void
  /** All rows are written: the digest gets what has changed. `last` is the commit's last position. */
  settle(last: number, tally: Tally): void
}

export interface Pins {
  touch(key: number, epoch: number, position: number): TouchedPins
}

export function pins(cells: CellRows, journal: JournalRows, tx: Pick<Transactions, 'afterCommit'>): Pins {
  const kept = new Map<string, Pin>()

  function load(key: number, address: string, position: number): Pin {
    const life = cells.life(key, address)
    const newest = life === null ? 0 : journal.newest(key, address, life, position)
    return { life, position: newest, sum: life === null ? 0 : snapshotPin(address, life, newest) }
  }
  return {
    touch(key, epoch, position) {
      const prefix = `${key} ${epoch} `
      const before = new Map<string, Pin>()
      const lives = new Map<string, number | null>()
      const positions = new Map<string, number>()
      function touched(address: string): Pin {
        const pin = before.get(address) ?? kept.get(prefix + address) ?? load(key, address, position)
        before.set(address, pin)
        return pin
      }
      const life = (address: string): number | null => {
        const changed = lives.get(address)
        return changed === undefined ? touched(address).life : changed
      }
      /** Where the newest snapshot of the life stands that an address has now. */
      function newest(address: string, now: number, last: number): number {
        const taken = positions.get(`${now} ${address}`)
        const pin = touched(address)
        return taken ?? (now === pin.life ? pin.position : journal.newest(key, address, now, last))
      }
      return {
        get: life,
        set(address, incarnation) {
          touched(address)
          lives.set(address, incarnation)
        },
        taken(address, incarnation, position) {
          touched(address)
          const place = `${incarnation} ${address}`
          positions.set(place, Math.max(position, positions.get(place) ?? 0))
        },
        settle(last, tally) {
          const after = new Map<string, Pin>()
          for (const [address, pin] of before) {
            const now = life(address)
            const position = now === null ? 0 : newest(address, now, last)
            const sum = now === null ? 0 : snapshotPin(address, now, position)
            tally.died(pin.sum)
            tally.born(sum)
            after.set(prefix + address, { life: now, position, sum })
          }
          tx.afterCommit(() => {
            if (kept.size + after.size > PINS_MAX) kept.clear()
            for (const [place, pin] of after) kept.set(place, pin)
          })
        },
      }
    },
  }
}
