/**
 * For tests of your own trees. The map:
 *
 *   virtualClock   time that moves only when you say so                         testing/virtual-clock.ts
 *   simulate       a whole run from one seed, with faults and invariants        testing/simulate.ts
 *     faults       actors that crash, processes that die, effects that fail     testing/faults.ts
 *     invariants   what no fault may break, checked all the time                testing/invariants/
 *   Chance         random numbers from a seed                                   testing/chance.ts
 *
 *   const clock = virtualClock()
 *   const troupe = createTroupe({ engine: localEngine({ store, clock }), machines })
 *   await clock.advance(60_000)      every timer on the way fires at its own instant, in order
 *
 * Random trees for fast-check are an entry of their own: `troupe/testing/arbitraries`. docs/guide/testing.md shows all of it.
 */
export { Chance, chanceOf } from './testing/chance.ts'
export type { Faults } from './testing/faults.ts'
export type { Fact } from './testing/record.ts'
export type { SimulationFailure, SimulationReport } from './testing/report.ts'
export { type SimulatedEvent, type SimulatedWorld, type SimulateOptions, simulate } from './testing/simulate.ts'
export { type VirtualClock, virtualClock } from './testing/virtual-clock.ts'
