/** Wall time and processor time of a piece of work, and the middle of many measurements. */

/** Of one measured stretch. */
export interface Spent {
  /** Microseconds on the wall. */
  readonly wallUs: number
  /** Microseconds of the processor, user and system, over all threads of this process. */
  readonly cpuUs: number
}

export async function meter(work: () => Promise<void> | void): Promise<Spent> {
  const cpu = process.cpuUsage()
  const start = process.hrtime.bigint()
  await work()
  const wallUs = Number(process.hrtime.bigint() - start) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  return { wallUs, cpuUs: user + system }
}

/** The middle one; the mean of the two in the middle where their number is even. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >>> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
