/** What can be asked of the benchmark on its command line. */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import type { Options } from './figure.ts'

export interface Flags extends Omit<Options, 'folder'> {
  /** Measurements by name. None: all but the long ones. */
  readonly names: readonly string[]
  /** A folder on the disk that is meant. */
  readonly dir: string
  readonly json: boolean
}

/** @throws {Error} saying what is wrong, for the person who typed it. */
export function parseFlags(words: readonly string[], known: readonly string[]): Flags {
  const { positionals: names, values } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      scale: { type: 'string', default: '1' },
      actors: { type: 'string' },
      dir: { type: 'string', default: tmpdir() },
      json: { type: 'boolean', default: false },
    },
  })
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new Error(`${unknown}: there is no such measurement`)
  const count = (flag: string, text: string | undefined): number | null =>
    text === undefined ? null : positive(flag, text, Number.isInteger)
  return {
    names,
    rounds: count('--rounds', values.rounds),
    scale: positive('--scale', values.scale, Number.isFinite),
    actors: count('--actors', values.actors),
    dir: values.dir,
    json: values.json,
  }
}

function positive(flag: string, text: string, holds: (number: number) => boolean): number {
  const number = Number(text)
  if (number > 0 && holds(number)) return number
  throw new Error(`${flag} ${text}: a number above 0 is wanted`)
}
