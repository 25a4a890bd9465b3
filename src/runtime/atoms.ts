/**
 * The order in which XState asks its active states for `always` transitions. It is no part of a state value: a state that was entered later is asked later,
 * and where transitions of two regions exclude each other, who is asked first goes first. A restored snapshot asks in another order, and so an actor could go
 * another way because its process died. So the order is stored, where it is not that of the machine's definition.
 *
 *   {"value": {"p": "a", "q": "b"}, ..., "atoms": ["m.q.b", "m.p.a"]}       q is asked first
 */

interface Node {
  readonly id: string
  readonly type: string
  /** Place in the definition. */
  readonly order: number
}

const isAtom = ({ type }: Node): boolean => type === 'atomic' || type === 'final'

/** Ids of the active states without states below them, in their order; undefined where it is the order of the definition, as it mostly is. */
export function atomsOf(snapshot: object): readonly string[] | undefined {
  const { _nodes: nodes } = snapshot as { _nodes?: readonly Node[] }
  if (nodes === undefined) return undefined // Not a machine's.
  let last = -1
  for (const node of nodes) {
    if (!isAtom(node)) continue
    if (node.order < last) return nodes.filter(isAtom).map(({ id }) => id)
    last = node.order
  }
  return undefined
}

/** Puts the active states of a restored snapshot into that order. Ids that it does not have are passed over: its machine may be another version. */
export function orderAtoms(snapshot: object, atoms: readonly string[] | undefined): void {
  const live = snapshot as { _nodes: readonly Node[] }
  const rank = (node: Node): number => (atoms === undefined ? node.order : atoms.indexOf(node.id))
  const ordered = live._nodes.filter(isAtom).sort((a, b) => rank(a) - rank(b))
  if (ordered.length < 2) return
  let next = 0
  live._nodes = live._nodes.map((node) => (isAtom(node) ? ordered[next++]! : node))
}
