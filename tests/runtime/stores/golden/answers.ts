/**
 * All that a store answers about its runs, as plain data: what a golden file must still say after any number of migrations.
 * Of journal entries and snapshots only the hashes, which stand for all of them: stores check a snapshot against its hash, the test checks the chain.
 */
import type { CellRow, Image, Store } from '../../../../src/runtime/store.ts'

/** The threads of the runs that `write.ts` makes. */
const THREADS = ['talk', 'notes']

/** `undefined` becomes what JSON makes of it, so that answers compare with what was written to a file. */
export function answersOf(store: Store): unknown {
  const runs = store.runs().map(({ run }) => {
    const { cells = store.cells(run), systemIds: _, ...image } = store.image(run) as Image & { readonly cells?: readonly CellRow[] }
    const lives = (address: string, newest: number) =>
      Array.from({ length: newest }, (__, index) => store.snapshot(run, address, index + 1)?.hash ?? null)
    return {
      row: store.run(run),
      image,
      cells,
      snapshots: cells.map(({ address, incarnation }) => ({ address, lives: lives(address, incarnation) })),
      effects: store.effects(run),
      threads: THREADS.map((thread) => store.thread(run, thread)),
      requests: store.requests(run),
      journal: store.journal(run, 0, Number.POSITIVE_INFINITY).map((entry) => entry.hash),
    }
  })
  return JSON.parse(JSON.stringify(runs))
}
