/**
 * A queue in which nobody starves: one lane for each actor, served in turn, so that who asks a hundred times waits behind who asks once.
 *
 *   lanes   /team/a [1 2 3]   /team/b [4]        take -> 1      lanes   /team/b [4]   /team/a [2 3]
 *
 * Whoever has been served goes to the end, and so does who comes back: with n actors waiting, at most n - 1 are served before any of them.
 * Plain data; every change is a new queue.
 */

interface Lane<Item> {
  readonly path: string
  readonly items: readonly Item[]
}

/** Lanes in the order in which they are served. None is empty. */
export interface FairQueue<Item> {
  readonly lanes: readonly Lane<Item>[]
  readonly size: number
}

/** A queue in which nobody waits. */
export const EMPTY_QUEUE: FairQueue<never> = { lanes: [], size: 0 }

/** Behind what this actor waits for already; with nothing there, behind everybody. */
export function joined<Item>({ lanes, size }: FairQueue<Item>, path: string, item: Item): FairQueue<Item> {
  const isKnown = lanes.some((lane) => lane.path === path)
  const longer = lanes.map((lane) => (lane.path === path ? { path, items: [...lane.items, item] } : lane))
  return { lanes: isKnown ? longer : [...lanes, { path, items: [item] }], size: size + 1 }
}

/** The next one that may go, and the queue without it; null where none may. Who may not is passed over and keeps its place. */
export function taken<Item>(
  { lanes, size }: FairQueue<Item>,
  may: (item: Item) => boolean,
): { readonly item: Item; readonly queue: FairQueue<Item> } | null {
  for (const [place, { path, items }] of lanes.entries()) {
    const index = items.findIndex(may)
    if (index === -1) continue
    const left = items.filter((_, at) => at !== index)
    const others = lanes.filter((_, at) => at !== place)
    return { item: items[index]!, queue: { lanes: left.length === 0 ? others : [...others, { path, items: left }], size: size - 1 } }
  }
  return null
}

/** The queue without those that are not wanted any more. */
export function without<Item>(queue: FairQueue<Item>, is: (item: Item) => boolean): FairQueue<Item> {
  const lanes = queue.lanes
    .map(({ path, items }) => ({ path, items: items.filter((item) => !is(item)) }))
    .filter(({ items }) => items.length > 0)
  return { lanes, size: lanes.reduce((sum, { items }) => sum + items.length, 0) }
}

/** All that wait, lane by lane. */
export const waitingIn = <Item>({ lanes }: FairQueue<Item>): readonly Item[] => lanes.flatMap(({ items }) => items)
