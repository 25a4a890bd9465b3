/**
 * What became of a store after a fault: a healthy life goes on with it, and everything that was promised is looked up.
 *
 *   whole          it ends as if nothing had happened, every promise kept, and a full check finds nothing
 *   found CODE     the same, and a full check, or reading the old history, names the damage
 *   refused CODE   one clear error, which names a code of the store and what to do; nothing was made up
 *   SILENT ...     anything else: it ended with another result or history, or with an error that helps nobody
 */
import { isDeepStrictEqual } from 'node:util'
import { firstBreak, type JournalEntry } from '../../src/runtime/journal.ts'
import type { Store } from '../../src/runtime/store.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { acknowledged, live, type Outcome, type Refusal, storeOf } from './life.ts'
import { EXPECTED } from './shop.ts'

/** What may stop a run whose disk failed or whose store is damaged. */
const CLEAR: readonly string[] = [
  'E_STORE_IO',
  'E_STORE_FULL',
  'E_STORE_DAMAGED',
  'E_STORE_TAIL_LOST',
  'E_STORE_WRONG_FILE',
  'E_STORE_NEWER',
  'E_STORE_READ_ONLY',
  'E_SNAPSHOT_DAMAGED',
]

/** Is this an error that a person can act on: a known code, a fix, words and no stack? */
function isClear({ code, message, fix, name }: Refusal): boolean {
  const inWords = message.length > 0 && !/\n\s+at |undefined|\[object/.test(message)
  return CLEAR.includes(code) && inWords && (name === 'Defect' || (fix ?? '') !== '')
}

/** How a life ended, in a word for the table. */
export function wordOf(outcome: Outcome): string {
  if (outcome.refused !== null)
    return isClear(outcome.refused) ? `refused ${outcome.refused.code}` : `SILENT ${outcome.refused.code}: ${outcome.refused.message}`
  if (outcome.status !== 'succeeded') return `SILENT ended ${outcome.status}: ${JSON.stringify(outcome.reason)}`
  return isDeepStrictEqual(outcome.output, EXPECTED) ? 'whole' : 'SILENT another result'
}

/** Is the second look at a store like the first? Damage that stopped a run in its last step is found in the run that has ended. */
export const isSame = (first: string, again: string): boolean =>
  again === first || (first.startsWith('refused') && again.startsWith('found'))

const HANGS_MS = 20_000

/** Goes on with what a fault left, in this healthy process, and says what became of it. */
export async function verdictOf(folder: string): Promise<string> {
  const hung = Promise.withResolvers<'hung'>()
  const alarm = setTimeout(() => hung.resolve('hung'), HANGS_MS)
  try {
    const promised = acknowledged(folder)
    const outcome = await Promise.race([live({ folder }), hung.promise])
    if (outcome === 'hung') return 'SILENT it hangs'
    const word = wordOf(outcome)
    return word === 'whole' ? history(folder, promised) : word
  } finally {
    clearTimeout(alarm)
  }
}

/** Does the history hold what was promised before the fault and after it? */
function history(folder: string, before: ReturnType<typeof acknowledged>): string {
  let store: Store | undefined
  try {
    store = sqliteStore({ path: storeOf(folder) })
    const { run } = store.runs({})[0]!
    const journal = allOf(store, run)
    const broken = firstBreak(journal)
    if (broken !== null) return `SILENT a broken chain at ${JSON.stringify(broken)}`
    const hashes = new Map(journal.map(({ pos, hash }) => [pos, hash]))
    const lost = [...before.commits, ...acknowledged(folder).commits].filter(({ position, hash }) => hashes.get(position) !== hash)
    if (lost.length > 0) return `SILENT ${lost.length} commits lost, from position ${lost[0]!.position}`
    const { findings } = store.check({ deep: true })
    return findings.length === 0 ? 'whole' : `found ${findings[0]!.code}`
  } catch (error) {
    const { code = 'none', message } = error as Error & { code?: string }
    return CLEAR.includes(code) ? `found ${code}` : `SILENT while reading: ${code} ${message}`
  } finally {
    store?.close()
  }
}

function allOf(store: Store, run: string): JournalEntry[] {
  const entries: JournalEntry[] = []
  for (let page = store.journal(run, 0); page.length > 0; page = store.journal(run, entries.at(-1)!.pos)) entries.push(...page)
  return entries
}

/** How often each verdict came up, most first: `whole 180, refused E_STORE_DAMAGED 20`. */
export class Table {
  readonly #counts = new Map<string, number>()

  add(verdict: string): string {
    this.#counts.set(verdict, (this.#counts.get(verdict) ?? 0) + 1)
    return verdict
  }
  count(start: string): number {
    return [...this.#counts].reduce((sum, [verdict, count]) => sum + (verdict.startsWith(start) ? count : 0), 0)
  }
  toString(): string {
    return [...this.#counts]
      .sort((a, b) => b[1] - a[1])
      .map(([verdict, count]) => `${verdict} ${count}`)
      .join(', ')
  }
}
