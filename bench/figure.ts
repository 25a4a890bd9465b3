/**
 * What a measurement gives: figures, grouped into cases. One format for all of them, as text and as JSON (`troupe.bench/1`).
 *
 *   report > section (one measurement) > case (one shape of load) > figure: the median of its samples, their range, and its goal where it has one
 */
import { median } from './meter.ts'

/** What was hoped for, before anything was measured. */
export interface Goal {
  readonly at: 'most' | 'least'
  readonly value: number
}

/** One measured thing. A figure of one sample has a range of one value. */
export interface Figure {
  readonly name: string
  /** `us`, `ms`, `bytes`, `steps/s`; `x` for a ratio; `` for a count. */
  readonly unit: Unit
  /** Median of the samples. */
  readonly value: number
  readonly min: number
  readonly max: number
  readonly samples: number
  readonly goal: Goal | null
  /** Whether the median meets the goal; null without one. */
  readonly met: boolean | null
}
export type Unit = 'us' | 'ms' | 'bytes' | 'steps/s' | 'x' | ''

export interface Case {
  readonly name: string
  readonly figures: readonly Figure[]
}

/** What one measurement found. */
export interface Section {
  readonly measurement: string
  /** The question that it answers. */
  readonly question: string
  readonly cases: readonly Case[]
}

/** What every measurement is given. */
export interface Options {
  /** An empty folder on the disk that is meant; removed afterwards. */
  readonly folder: string
  /** How often each side takes its turn. Null: what the measurement finds enough. */
  readonly rounds: number | null
  /** Every size is multiplied by it: 1 is what docs/benchmarks.md tells of. */
  readonly scale: number
  /** Number of actors, where there is one to choose. Null: the measurement's own, scaled. */
  readonly actors: number | null
}

export interface Measurement {
  readonly name: string
  readonly question: string
  /** Only when it is asked for by name: it takes minutes. */
  readonly isLong?: boolean
  run(options: Options): Promise<readonly Case[]>
}

/** @param samples  at least one. */
export function figure(name: string, unit: Unit, samples: readonly number[] | number, goal: Goal | null = null): Figure {
  const all = typeof samples === 'number' ? [samples] : samples
  if (all.length === 0) throw new Error(`${name}: nothing was measured`)
  const value = median(all)
  const met = goal === null ? null : goal.at === 'most' ? value <= goal.value : value >= goal.value
  return { name, unit, value, min: Math.min(...all), max: Math.max(...all), samples: all.length, goal, met }
}

export const atMost = (value: number): Goal => ({ at: 'most', value })
export const atLeast = (value: number): Goal => ({ at: 'least', value })

/** A size as the measurement knows it, scaled, and a multiple of `of`. */
export function scaled(size: number, { scale }: Pick<Options, 'scale'>, of = 1): number {
  return Math.max(of, Math.round((size * scale) / of) * of)
}
