/**
 * The tree of actors as lines, aligned in columns:
 *
 *   ✓ team                succeeded, verified   1m42s   41.8k tok   simulated
 *   ├─ ✓ orchestrator     done                  1m41s    6.2k tok
 *   └─ ✓ coder-2#2        done   export         51.3s   16.0k tok   1 restart (E_PROVIDER_TIMEOUT)
 */
import { columnsOf, cutEnd, pad } from './format.ts'
import { branch, type Look } from './look.ts'

export interface TreeNode {
  /** One column, painted. */
  readonly mark: string
  readonly name: string
  readonly columns: readonly string[]
  /** Its columns stand one after the other and do not widen those of the others. */
  readonly free?: boolean
  readonly children: readonly TreeNode[]
}

export interface TreeShape {
  /** Which columns are set to the right. */
  readonly right?: readonly number[]
  /** Is the root drawn with its mark? */
  readonly rootMark?: boolean
}

interface Line {
  readonly guides: string
  readonly mark: string
  readonly name: string
  readonly columns: readonly string[]
  readonly free: boolean
}

const GAP = '   '

/** One line per node, depth first. The last column is cut where the screen is narrow. */
export function treeLines(root: TreeNode, look: Look, shape: TreeShape = {}): readonly string[] {
  const lines = [...walk(root, '', '', look, shape.rootMark ?? true)]
  const lead = Math.max(20, ...lines.map(leadColumns))
  const aligned = lines.filter(({ free }) => !free)
  const count = Math.max(0, ...aligned.map(({ columns }) => columns.length))
  const widths = Array.from({ length: count }, (_, at) => Math.max(0, ...aligned.map(({ columns }) => columnsOf(columns[at] ?? ''))))
  return lines.map((line) => drawn(line, lead, widths, look, shape.right ?? []))
}

function* walk(node: TreeNode, guides: string, below: string, look: Look, marked: boolean): Generator<Line> {
  yield { guides, mark: marked ? `${node.mark} ` : '', name: node.name, columns: node.columns, free: node.free === true }
  for (const [index, child] of node.children.entries()) {
    const { own, below: further } = branch(index === node.children.length - 1, look)
    yield* walk(child, below + own, below + further, look, true)
  }
}

/** A mark is one column, whatever it is painted with. */
function leadColumns({ guides, mark, name }: Line): number {
  return columnsOf(guides) + (mark === '' ? 0 : 2) + columnsOf(name)
}

function drawn(line: Line, lead: number, widths: readonly number[], look: Look, right: readonly number[]): string {
  const start = `${look.paint('dim', line.guides)}${line.mark}${line.name}${' '.repeat(Math.max(0, lead - leadColumns(line)))}`
  const padded = widths.map((width, at) => (width === 0 ? '' : pad(line.columns[at] ?? '', width, right.includes(at) ? 'start' : 'end')))
  const shown = line.free ? line.columns : padded
  const rest = shown
    .filter((column) => column !== '')
    .join(GAP)
    .trimEnd()
  const room = look.width === null ? null : Math.max(8, look.width - lead - 2)
  return `${start}  ${cutEnd(rest, room, look.ascii ? '...' : '…')}`.trimEnd()
}
