/**
 * The witness outside: every effect writes `begin key attempt` before it touches the world and `end key attempt` after, to an append-only file
 * that no run can change. Compared with the journal it tells what was lost and what was done twice.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import type { EffectHandler } from '../../src/effect.ts'
import type { Json } from '../../src/json.ts'
import type { Store } from '../../src/runtime/store.ts'

interface Line {
  readonly what: 'begin' | 'end' | 'proved'
  readonly key: string
  readonly attempt: number
}

export class Ledger {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  write(what: Line['what'], key: string, attempt: number): void {
    appendFileSync(this.#file, `${what} ${key} ${attempt}\n`)
  }

  lines(): readonly Line[] {
    if (!existsSync(this.#file)) return []
    return readFileSync(this.#file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [what, key, attempt] = line.split(' ')
        return { what: what as Line['what'], key: key!, attempt: Number(attempt) }
      })
  }

  /** Wraps a handler so that it bears witness. */
  witness<Input, Output>(handler: EffectHandler<Input, Output>): EffectHandler<Input, Output> {
    const { prove } = handler
    return {
      ...handler,
      perform: async (call) => {
        this.write('begin', call.key, call.attempt)
        const output = await handler.perform(call)
        this.write('end', call.key, call.attempt)
        return output
      },
      ...(prove === undefined
        ? {}
        : {
            prove: async (call) => {
              const verdict = await prove(call)
              // The effect had happened when its process died on the way to its `end`.
              if (verdict.verdict === 'applied' && !this.#hasEnded(call.key)) this.write('proved', call.key, call.attempt)
              return verdict
            },
          }),
    }
  }

  /** A probe can be asked twice, when the process dies before its verdict is committed; it bears witness once. */
  #hasEnded(key: string): boolean {
    return this.lines().some((line) => line.what !== 'begin' && line.key === key)
  }
}

export interface Audit {
  /** Outcomes in the journal whose effect never ended. */
  readonly lost: readonly string[]
  /** Begun after its outcome was committed, or a `prove` effect that ended twice. */
  readonly doubled: readonly string[]
  /** `repeat` effects that were begun more than once: allowed, counted. */
  readonly repeated: number
  readonly inDoubt: readonly string[]
}

export function audit(store: Store, run: string, ledger: Ledger): Audit {
  const lines = ledger.lines()
  const lost: string[] = []
  const doubled: string[] = []
  const inDoubt: string[] = []
  let repeated = 0
  const outcomes = outcomesOf(store, run)
  for (const row of store.effects(run)) {
    if (row.kind === 'action') continue
    const key = `${run}/${row.id}`
    const own = lines.filter((line) => line.key === key)
    const begins = own.filter((line) => line.what === 'begin')
    const ends = own.filter((line) => line.what !== 'begin')
    const what = `${row.id} ${row.kind}`
    if (row.status === 'in_doubt') inDoubt.push(what)
    if (row.status === 'succeeded' && ends.length === 0) lost.push(`${what}: succeeded, but it never ended`)
    const outcome = outcomes.get(row.id)
    if (outcome !== undefined && begins.some((begin) => begin.attempt > outcome))
      doubled.push(`${what}: begun again after attempt ${outcome} had its outcome`)
    if (row.policy === 'prove' && ends.length > 1) doubled.push(`${what}: ended ${ends.length} times`)
    if (row.policy !== 'repeat' && begins.length > 1 && ends.length > 1)
      doubled.push(`${what}: begun ${begins.length} times and ended ${ends.length} times`)
    if (begins.length > 1) repeated++
  }
  return { lost, doubled, repeated, inDoubt }
}

/** By effect, the attempt whose outcome the journal holds first. Told by the journal alone, so that a row that lies is found out. */
function outcomesOf(store: Store, run: string): ReadonlyMap<string, number> {
  const attempts = new Map<string, number>()
  const outcomes = new Map<string, number>()
  for (let since = 0; ; ) {
    const page = store.journal(run, since)
    if (page.length === 0) return outcomes
    for (const entry of page) {
      since = entry.pos
      const data = JSON.parse(entry.data) as { readonly [key: string]: Json }
      if (entry.type === 'effect.started') attempts.set(String(data['id']), Number(data['attempt']))
      const settled = entry.type === 'effect.succeeded' || entry.type === 'effect.failed'
      if (settled && !outcomes.has(String(data['id']))) outcomes.set(String(data['id']), attempts.get(String(data['id'])) ?? 0)
    }
  }
}
