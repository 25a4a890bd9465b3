/** What the drawn cases had: a feature that no case shows is not tested, however many cases there are. */

import { type Dying, diesBefore } from './case.ts'
import type { Machine } from './literal.ts'
import type { Picture, Unlike } from './oracle.ts'

type Test = (pictures: readonly Picture[], literal: string) => boolean

const traced =
  (pattern: RegExp): Test =>
  (pictures) =>
    pictures.some(({ trace }) => trace.some((line) => pattern.test(line)))
const ended =
  (pattern: RegExp): Test =>
  (pictures) =>
    pictures.some(({ ends }) => ends.some((line) => pattern.test(line)))
const lived =
  (pattern: RegExp): Test =>
  (pictures) =>
    pictures.some(({ actors }) => Object.keys(actors).some((path) => pattern.test(path)))
const said =
  (pattern: RegExp): Test =>
  (_, literal) =>
    pattern.test(literal)
const isParallel = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && (Object.keys(value).length > 1 || Object.values(value).some(isParallel))

/** Each must be in at least one case. The first group has happened in it, the second stands in its machine. */
const TESTS: Readonly<Record<string, Test>> = {
  'after timers': traced(/ xstate\.after\./),
  history: (pictures) =>
    pictures.some(({ actors }) => Object.values(actors).some(({ history }) => Object.keys(history as object).length > 0)),
  parallel: (pictures) => pictures.some(({ actors }) => Object.values(actors).some(({ value }) => isParallel(value))),
  errors: ended(/ error /),
  'errors handled': traced(/ xstate\.error\.actor\./),
  outputs: ended(/ done /),
  'done states': traced(/ xstate\.done\.state\./),
  snapshots: traced(/ xstate\.snapshot\./),
  spawned: lived(/\/[ab]$/),
  invoked: lived(/\/[ij]$/),
  grandchildren: lived(/one\/[abij]\/[abij]$/),
  emitted: (pictures) => pictures.some(({ told }) => told.length > 0),
  'delayed sends': said(/"do":"send"[^}]*"delay"/),
  'delayed raises': said(/"do":"raise"[^}]*"delay"/),
  cancels: said(/"do":"cancel"/),
  always: said(/"always"/),
  stops: said(/"do":"stop"/),
  forwards: said(/"do":"forward"/),
  references: said(/"to":"(?:peer|boss)"|"to":\{"ref"/),
  'system ids': said(/"to":\{"system"/),
  throws: said(/"do":"throw"|"guardThrows"|"inputThrows"|"outputThrows"|"throws"/),
}

export class Features {
  #cases = 0
  #kills = 0
  readonly #counts = new Map<string, number>()
  readonly #skipped = new Map<Unlike, number>()

  seen(machine: Machine, pictures: readonly Picture[], dying: Dying, plays: number): void {
    this.#cases++
    for (let play = 0; play < plays; play++) if (diesBefore(dying)(play)) this.#kills++
    const literal = JSON.stringify(machine)
    for (const [name, has] of Object.entries(TESTS)) if (has(pictures, literal)) this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  /** A case in which the hosts differ in a known way, or null: one that is compared. */
  skipped(why: Unlike | null): void {
    if (why !== null) this.#skipped.set(why, (this.#skipped.get(why) ?? 0) + 1)
  }

  /** Features that no case has shown; and `kept`, where more cases were left out than compared. */
  missing(): string[] {
    const all = Object.keys(TESTS).filter((name) => !this.#counts.has(name))
    const skipped = [...this.#skipped.values()].reduce((sum, count) => sum + count, 0)
    return skipped > this.#cases ? [...all, 'kept'] : all
  }

  text(): string {
    const list = (counts: ReadonlyMap<string, number>): string => [...counts].map(([name, count]) => `${name} ${count}`).join(', ')
    return `${this.#cases} cases, ${this.#kills} kills (${list(this.#counts)}; left out: ${list(this.#skipped)})`
  }
}
