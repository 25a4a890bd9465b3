/** One case of the differential test, and how two hosts are compared on it. */
import { expect } from 'vitest'
import type { Machine, Play } from './literal.ts'
import type { Picture } from './oracle.ts'

export interface Case {
  readonly machine: Machine
  readonly plays: readonly Play[]
}

/** Before which plays the process dies. */
export type Dying = readonly number[] | 'always'

export const diesBefore =
  (dying: Dying) =>
  (play: number): boolean =>
    dying === 'always' || dying.includes(play)

/** Picture by picture, so that a failure shows the first that differs and nothing else. */
export function expectSame({ plays }: Pick<Case, 'plays'>, seen: readonly Picture[], oracle: readonly Picture[]): void {
  for (const [index, picture] of oracle.entries()) {
    const after = index === 0 ? 'the start' : { play: index, ...plays[index - 1]! }
    expect({ after, ...seen[index] }).toEqual({ after, ...picture })
  }
  expect(seen.length).toBe(oracle.length)
}
