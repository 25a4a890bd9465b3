/**
 * Signs of life of what effects have started: which processes there are, and how busy. Found like strays, by the tags in their environment (reaper.ts), so
 * that a command which says nothing is not taken for one that hangs.
 */
import type { ProcessVitals } from '../health.ts'
import { EFFECT_TAG, RUN_TAG } from './sandbox.ts'
import { commandOf, cpuMsOf, environmentOf, pause, processTable, withKin } from './sandboxes/processes.ts'

/** How long it looks: long enough for some clock ticks of a processor, which are 10 ms. */
const LOOK_MS = 200

/**
 * The processes of one effect, the busiest first, by their use of a processor within 200 ms. With those in their groups and sessions, and descendants.
 * On Linux; elsewhere, and where there is none, empty at once.
 */
export async function vitals(run: string, effect: string): Promise<readonly ProcessVitals[]> {
  const find = () =>
    withKin(processTable(), ({ pid }) => {
      const environment = environmentOf(pid)
      return environment.get(RUN_TAG) === run && environment.get(EFFECT_TAG) === effect
    })
  const before = new Map(find().map(({ pid }) => [pid, cpuMsOf(pid)]))
  if (before.size === 0) return []
  const began = performance.now()
  await pause(LOOK_MS)
  const tookMs = performance.now() - began
  return find()
    .map(({ pid }) => {
      const cpuMs = cpuMsOf(pid)
      return { pid, cpu: (100 * Math.max(0, cpuMs - (before.get(pid) ?? 0))) / tookMs, cpuMs, command: commandOf(pid) }
    })
    .sort((a, b) => b.cpu - a.cpu)
}
