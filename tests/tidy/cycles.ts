/** Import cycles: strongly connected components after Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Comput. 1 (1972). */

/** Groups of nodes that reach each other, and nodes that point to themselves. Each group sorted, the groups sorted by their first member. */
export function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const indexOf = new Map<string, number>()
  const lowOf = new Map<string, number>()
  const stack: string[] = []
  const groups: string[][] = []

  function visit(node: string): number {
    const index = indexOf.size
    indexOf.set(node, index)
    stack.push(node)
    let low = index
    for (const next of graph.get(node) ?? []) {
      if (!indexOf.has(next)) low = Math.min(low, visit(next))
      else if (stack.includes(next)) low = Math.min(low, lowOf.get(next) ?? indexOf.get(next) ?? low)
    }
    lowOf.set(node, low)
    if (low === index) groups.push(stack.splice(stack.indexOf(node)))
    return low
  }

  for (const node of graph.keys()) if (!indexOf.has(node)) visit(node)
  return groups
    .filter(([first = '', ...others]) => others.length > 0 || graph.get(first)?.includes(first))
    .map((group) => group.sort())
    .sort(([a = ''], [b = '']) => (a < b ? -1 : 1))
}
