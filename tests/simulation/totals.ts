/** What many simulations add up to, and what one that failed comes down to. */
import { asyncProperty, check, stringify } from 'fast-check'
import type { Planted } from '../../src/testing/process.ts'
import type { SimulationReport } from '../../src/testing/report.ts'
import { play, type Scenario, type Size, scenarios } from './scenario.ts'

/** How far a night has come, and what it has seen. */
export class Totals {
  readonly counts = { seeds: 0, events: 0, accepted: 0, steps: 0, crashes: 0, restarts: 0, deaths: 0, failedCommits: 0, simulatedMs: 0 }
  readonly ends = new Map<string, number>()

  add(report: SimulationReport): void {
    this.counts.seeds++
    for (const name of ['events', 'accepted', 'steps', 'crashes', 'restarts', 'deaths', 'failedCommits', 'simulatedMs'] as const)
      this.counts[name] += report[name]
    const end = report.ended?.status ?? 'not ended'
    this.ends.set(end, (this.ends.get(end) ?? 0) + 1)
  }

  get hours(): number {
    return this.counts.simulatedMs / 3_600_000
  }

  text(): string {
    const { seeds, events, accepted, steps, crashes, restarts, deaths, failedCommits } = this.counts
    const ends = [...this.ends].map(([end, count]) => `${count} ${end}`).join(', ')
    return (
      `${seeds} seeds, ${events} events (${accepted} accepted), ${steps} steps, ${crashes} simulated crashes, ${restarts} restarts, ` +
      `${deaths} process deaths, ${failedCommits} failed commits, ${this.hours.toFixed(1)} simulated hours; ended: ${ends}`
    )
  }
}

/** In words: what is broken, by which seed, and the smallest tree and events that fast-check finds for it in a minute. */
export async function storyOf(seed: number, size: Size, report: SimulationReport, planted: Planted = {}): Promise<string> {
  let smallest: { scenario: Scenario; report: SimulationReport } | undefined
  await check(
    asyncProperty(scenarios(size), async (scenario) => {
      const again = await play(scenario, seed, planted)
      if (again.failure === null) return true
      smallest = { scenario, report: again }
      return false
    }),
    { seed, numRuns: 1, interruptAfterTimeLimit: 60_000 },
  )
  const { failure } = smallest?.report ?? report
  const told = [`seed ${seed}: ${failure?.invariant}: ${failure?.message}`, ...(failure?.journalTail ?? [])]
  if (smallest !== undefined) told.push(`smallest: ${stringify(smallest.scenario)}`)
  return told.join('\n')
}
