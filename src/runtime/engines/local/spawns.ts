/**
 * Spawn limits (P7): how many children, how deep, how many below, how many a minute. Each actor's own `limits` bound all that begins below it, whoever
 * begins it: a supervisor by hand or XState by `spawn`. Looked at before anything of a start is kept.
 */
import type { CellRow } from '../../store.ts'
import type { Cell, Tree } from './tree.ts'

const MINUTE_MS = 60_000

/** Which limit `count` more children of this actor would break, in words; null where they fit. */
export function brokenLimit(tree: Tree, parent: Cell, count: number, begun = count): string | null {
  for (let above: Cell | undefined = parent, levels = 1; above !== undefined; levels++) {
    const broken = brokenAt(tree, above, { isParent: above === parent, levels, count, begun })
    if (broken !== null) return broken
    above = above.row.parent === null ? undefined : tree.cells.get(above.row.parent.address)
  }
  return null
}

/** Notes that children were started, where the rate of their parent is bounded. */
export function noteStarts(tree: Tree, parent: Cell, count: number): void {
  if (parent.row.limits?.perMinute === undefined) return
  tree.change(parent, { starts: [...recent(tree, parent.row), ...Array.from({ length: count }, () => tree.now)] })
}

const recent = (tree: Tree, { starts = [] }: CellRow): readonly number[] => starts.filter((at) => tree.now - at < MINUTE_MS)

function brokenAt(tree: Tree, { row }: Cell, more: { isParent: boolean; levels: number; count: number; begun: number }): string | null {
  const { limits } = row
  if (limits === undefined) return null
  const { children, depth, descendants, perMinute } = limits
  const over = (which: string, max: number): string => `${row.address} may have ${which}: ${max} (limits.${which})`
  if (depth !== undefined && more.levels > depth) return over('depth', depth)
  if (descendants !== undefined && living(tree, row.address, descendants, true) + more.count > descendants)
    return over('descendants', descendants)
  if (!more.isParent) return null
  if (children !== undefined && living(tree, row.address, children, false) + more.count > children) return over('children', children)
  return perMinute !== undefined && recent(tree, row).length + more.begun > perMinute ? over('perMinute', perMinute) : null
}

/** Living actors below an address. Counts no further than `enough`, so that a limit costs what it allows. */
function living(tree: Tree, address: string, enough: number, deep: boolean): number {
  let count = 0
  for (const below of tree.cells.below(address)) {
    if (tree.cells.get(below)?.row.status !== 'ended') count++
    if (deep && count <= enough) count += living(tree, below, enough - count, true)
    if (count > enough) return count
  }
  return count
}
