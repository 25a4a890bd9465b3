/** `troupe ps`: the runs of this project, the newest first. */

import type { Standing } from '../view/look.ts'
import { standingOf } from '../view/outcome.ts'
import { runObject, runTable } from '../view/runs.ts'
import type { Context } from './context.ts'
import { itemOf } from './journal.ts'

export interface PsFlags {
  readonly all?: boolean
  readonly everywhere?: boolean
  readonly status?: Standing
}

const ITEMS_MAX = 50

/** Always exit 0: no runs are an answer, too. */
export async function ps(context: Context, flags: PsFlags): Promise<number> {
  const { io, config } = context
  const { store } = await context.app()
  const rows = store.runs(flags.everywhere === true ? {} : { project: config.project }).filter((row) => {
    const standing = standingOf(row, row.status === 'running' && store.isOwned(row.run))
    if (flags.status !== undefined) return standing === flags.status
    return flags.all === true || !['succeeded', 'failed', 'canceled'].includes(standing)
  })
  const items = rows.slice(0, ITEMS_MAX).map((row) => itemOf(store, row))
  const nowMs = context.now()
  if (context.flags.json || context.flags.jsonl) {
    io.json({
      schema: 'troupe.runs/1',
      type: 'result',
      items: items.map((item) => runObject(item, nowMs)),
      truncated: rows.length > ITEMS_MAX,
    })
    return 0
  }
  if (items.length === 0) io.out(emptyWords(flags))
  for (const line of runTable(items, io.outLook, { nowMs, tabs: !config.stdout.terminal })) io.out(line)
  if (rows.length > ITEMS_MAX) io.err(`${rows.length - ITEMS_MAX} older runs are not shown`)
  return 0
}

function emptyWords({ all, everywhere, status }: PsFlags): string {
  const where = everywhere === true ? '' : ' here'
  if (status !== undefined) return `No ${status} runs${where}.`
  if (all === true) return `No runs${where} yet.${everywhere === true ? '' : ' All: troupe ps --all --everywhere'}`
  return `No unfinished runs${where}. All: troupe ps --all`
}
