/**
 * A million parked actors in one store: as 1,000 runs of 1,000, and as one run. Opened by a fresh process, any one of them asked.
 * They are written by commits of the store, not through the engine, which would take minutes longer: see population.ts.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { type Case, figure, type Measurement, type Options, scaled } from '../figure.ts'
import { inFreshProcess } from '../fresh.ts'
import type { FirstAnswer, FirstAnswerInput } from '../load/first-answer.child.ts'
import { childAddress } from '../load/pool-run.ts'
import { populate, type Stamp, stampOf } from '../load/population.ts'
import { meter } from '../meter.ts'
import { firstAnswerFigures } from './resume.ts'

const ACTORS = 1_000_000
const FIRST_ANSWER = new URL('../load/first-answer.child.ts', import.meta.url)

export const million: Measurement = {
  name: 'million',
  question: 'can any one of a million parked actors be addressed, and what does that take?',
  isLong: true,
  run: async (options) => {
    const actors = options.actors ?? scaled(ACTORS, options)
    const stamp = await stampOf(join(options.folder, 'stamp.db'))
    const runs = Math.max(1, Math.round(Math.sqrt(actors)))
    return [...(await measured(options, stamp, 1, actors)), ...(await measured(options, stamp, runs, Math.ceil(actors / runs)))]
  },
}

async function measured(options: Options, stamp: Stamp, runs: number, each: number): Promise<Case[]> {
  const path = join(options.folder, `${runs}.db`)
  const store = sqliteStore({ path })
  const ids = Array.from({ length: runs }, (_, index) => `run-${index}`)
  const { wallUs } = await meter(() => {
    for (const run of ids) populate(store, run, each, stamp)
  })
  store.close()
  const answers: FirstAnswer[] = []
  for (let round = 0; round < (options.rounds ?? 5); round++) {
    const pick = (count: number): number => (round * 7_919 + 1_234) % count
    const input: FirstAnswerInput = { path, runs: [ids[pick(runs)]!], address: childAddress(pick(each)) }
    answers.push(await inFreshProcess<FirstAnswer>(FIRST_ANSWER, input))
  }
  const file = [figure('file', 'bytes', statSync(path).size), figure('file, an actor', 'bytes', statSync(path).size / (runs * each))]
  const written = figure('written, an actor', 'us', wallUs / (runs * each))
  const name = runs === 1 ? `one run of ${each} actors` : `${runs} runs of ${each} actors`
  const cases: Case[] = [
    { name: `${name}, any one of them asked`, figures: [...firstAnswerFigures({ engine: answers, raw: [] }), ...file, written] },
  ]
  if (runs > 1) {
    const input: FirstAnswerInput = { path, runs: ids, address: childAddress(each >> 1) }
    const all = await inFreshProcess<FirstAnswer>(FIRST_ANSWER, input)
    cases.push({ name: `${name}, all of them live in one process`, figures: firstAnswerFigures({ engine: [all], raw: [] }, null) })
  }
  return cases
}
