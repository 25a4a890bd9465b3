/** Cells are read when they are needed and let go when they have rested; within a turn, memory is ahead of the store. */
import { expect, test } from 'vitest'
import { CELLS_HOT_MAX } from '../../src/limits.ts'
import { Cells } from '../../src/runtime/engines/local/cells.ts'
import type { CellRow } from '../../src/runtime/store.ts'

function row(address: string, parent: string | null = '/pool', incarnation = 1): CellRow {
  return {
    address,
    incarnation,
    machine: 'm',
    version: '1',
    parent: parent === null ? null : { address: parent, incarnation: 1 },
    id: address.slice(1),
    supervised: true,
    status: 'active',
    since: 1,
    sync: false,
    readyTag: null,
    ready: true,
    input: null,
    children: [],
    nextId: 0,
    systemIds: {},
    exit: null,
  }
}

/** A store of cells that counts who is asked for. */
function stored(...addresses: readonly string[]) {
  const reads: string[] = []
  const rows = new Map(addresses.map((address) => [address, row(address)]))
  const cells = new Cells({
    cell: (address) => {
      reads.push(address)
      return rows.get(address) ?? null
    },
    children: (parent) => [...rows.values()].filter((cell) => cell.parent?.address === parent).map(({ address }) => address),
  })
  return { cells, reads, rows }
}

test('a cell is read once, when it is first needed; an address where nobody lives is nobody', () => {
  const { cells, reads } = stored('/pool/a')
  expect([cells.get('/pool/a')?.row, cells.get('/pool/a')?.row, cells.get('/pool/b')]).toEqual([row('/pool/a'), row('/pool/a'), undefined])
  expect(reads).toEqual(['/pool/a', '/pool/b'])
})

test('what this turn has begun and ended is known before the store knows it', () => {
  const { cells, reads } = stored('/pool/a', '/pool/b')
  cells.add({ row: row('/pool/c'), snapshot: null })
  cells.remove('/pool/a')
  expect({ a: cells.has('/pool/a'), below: cells.below('/pool'), reads }).toEqual({ a: false, below: ['/pool/b', '/pool/c'], reads: [] })
  cells.add({ row: row('/pool/a', '/pool', 2), snapshot: null })
  expect({ a: cells.get('/pool/a')?.row.incarnation, below: cells.below('/pool') }).toEqual({
    a: 2,
    below: ['/pool/a', '/pool/b', '/pool/c'],
  })
})

test('more cells than may rest in memory are let go once they are committed, those in use last, and come back as they were committed', () => {
  const many = Array.from({ length: CELLS_HOT_MAX + 100 }, (_, index) => `/pool/${index}`)
  const { cells, reads } = stored(...many)
  for (const address of many.slice(0, CELLS_HOT_MAX)) cells.get(address)
  cells.committed()
  expect(cells.hot).toBe(CELLS_HOT_MAX)
  for (const address of many.slice(CELLS_HOT_MAX - 1)) cells.get(address)
  cells.committed()
  cells.committed()
  expect(cells.hot).toBeLessThanOrEqual(CELLS_HOT_MAX)
  const before = reads.length
  expect(cells.get(many[0]!)?.row).toEqual(row(many[0]!))
  expect(reads.length - before).toBe(1)
})

test('children that come and go leave nothing behind', () => {
  const { cells } = stored()
  for (let n = 0; n < 1_000; n++) {
    cells.add({ row: row(`/pool/${n}`), snapshot: null })
    cells.remove(`/pool/${n}`)
    cells.committed()
  }
  expect({ hot: cells.hot, noted: cells.noted, below: cells.below('/pool') }).toEqual({ hot: 0, noted: 0, below: [] })
})
