/** Tables: aligned and cut to the screen on a terminal; tab-separated and whole elsewhere, for `cut` and `awk`. */
import { columnsOf, cutEnd, cutMiddle, pad } from './format.ts'
import type { Look, Tone } from './look.ts'

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
  /** What may be shortened where the screen is narrow: sentences at their end, addresses in the middle. Ids, numbers and codes never are. */
  readonly cut?: 'end' | 'middle'
}

export interface Cell {
  readonly text: string
  readonly tone?: Tone
}

const GAP = '  '

/** Lines of a table, its head first. No rows: no lines. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly Cell[])[], look: Look, tabs: boolean): readonly string[] {
  if (rows.length === 0) return []
  if (tabs)
    return [columns.map(({ title }) => title), ...rows.map((row) => row.map(({ text }) => flat(text)))].map((line) => line.join('\t'))
  const widths = fitted(
    columns,
    columns.map((column, index) => widest(column, rows, index)),
    look.width,
  )
  const head = columns.map(({ title, align }, index) => pad(title, widths[index]!, align === 'right' ? 'start' : 'end'))
  const body = rows.map((row) => columns.map((column, index) => cell(column, row[index] ?? { text: '' }, widths[index]!, look)))
  return [head, ...body].map((line) => line.join(GAP).trimEnd())
}

function cell(column: Column, { text, tone }: Cell, width: number, look: Look): string {
  const dots = look.ascii ? '...' : '…'
  const cut =
    column.cut === 'middle' ? cutMiddle(flat(text), width, dots) : column.cut === 'end' ? cutEnd(flat(text), width, dots) : flat(text)
  const padded = pad(cut, width, column.align === 'right' ? 'start' : 'end')
  return tone === undefined ? padded : look.paint(tone, padded)
}

function widest(column: Column, rows: readonly (readonly Cell[])[], index: number): number {
  return rows.reduce((width, row) => Math.max(width, columnsOf(flat(row[index]?.text ?? ''))), columnsOf(column.title))
}

/** Takes what is too much from the columns that may be cut, the widest first; none gets narrower than its title or 8. */
function fitted(columns: readonly Column[], widths: number[], screen: number | null): readonly number[] {
  if (screen === null) return widths
  let over = widths.reduce((sum, width) => sum + width, GAP.length * (columns.length - 1)) - screen
  while (over > 0) {
    const candidates = columns.flatMap(({ cut, title }, index) =>
      cut !== undefined && widths[index]! > Math.max(8, columnsOf(title)) ? [index] : [],
    )
    const widestOne = candidates.sort((a, b) => widths[b]! - widths[a]!)[0]
    if (widestOne === undefined) return widths
    widths[widestOne]!--
    over--
  }
  return widths
}

function flat(text: string): string {
  return text.replace(/[\t\r\n]+/g, ' ')
}
