/** Work on many files at once without opening them all: a bounded number of calls in flight. */

/** Files in flight: enough to hide the disk's latency, far below any limit on open files. */
const WIDTH = 16

/** Runs `work` on every item, at most 16 at a time. Rejects with the first error, once the calls in flight have ended. */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  let failed = false
  const lane = async (): Promise<void> => {
    while (next < items.length && !failed) {
      try {
        await work(items[next++] as T)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(WIDTH, items.length) }, lane))
  const broken = lanes.find((result) => result.status === 'rejected')
  if (broken !== undefined) throw broken.reason
}
