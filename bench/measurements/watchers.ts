/**
 * What watchers cost a run: nobody, one, fifty that read as fast as they can, fifty that want every fact, fifty that are slow. They live in the run's own
 * process, so what their own loops take of the processor is in the figures too. Each checks that nothing is missing that it was not told of.
 */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Frame } from '../../src/runtime/engine.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { atLeast, type Case, figure, type Measurement, type Options, scaled } from '../figure.ts'
import { checkCounted, drive, startCounters } from '../load/counters.ts'
import { meter, type Spent } from '../meter.ts'

const ACTORS = 64
const STEPS = 12_288
const CROWD = 50
/** A slow watcher reads so many frames, then rests. */
const SLOW = { frames: 100, restMs: 20 }

interface Side {
  readonly name: string
  readonly watchers: number
  readonly gaps: 'tell' | 'fill'
  readonly isSlow: boolean
}

const SIDES: readonly Side[] = [
  { name: 'nobody', watchers: 0, gaps: 'tell', isSlow: false },
  { name: '1 watcher that wants every fact', watchers: 1, gaps: 'fill', isSlow: false },
  { name: `${CROWD} watchers`, watchers: CROWD, gaps: 'tell', isSlow: false },
  { name: `${CROWD} watchers that want every fact`, watchers: CROWD, gaps: 'fill', isSlow: false },
  { name: `${CROWD} slow watchers`, watchers: CROWD, gaps: 'tell', isSlow: true },
]

export const watchers: Measurement = {
  name: 'watchers',
  question: 'is a run slower while it is watched?',
  run: async (options) => {
    const steps = scaled(STEPS, options, ACTORS)
    const rounds: Watched[][] = []
    await watched(options, SIDES[0]!, steps, -1) // Compiled code is what is measured.
    for (let round = 0; round < (options.rounds ?? 9); round++) {
      const sides: Watched[] = []
      for (const side of SIDES) sides.push(await watched(options, side, steps, round))
      rounds.push(sides)
    }
    return SIDES.map((side, index) =>
      caseOf(
        side,
        rounds.map((round) => [round[0]!, round[index]!] as const),
        steps,
      ),
    )
  },
}

interface Watched {
  readonly spent: Spent
  /** Of all watchers: facts that they were given, and facts that they were told to have missed. */
  readonly seen: number
  readonly missed: number
}

async function watched({ folder }: Options, side: Side, steps: number, round: number): Promise<Watched> {
  const path = join(folder, `${side.name}-${round}.db`)
  const counters = await startCounters(sqliteStore({ path }), ACTORS)
  const since = (await counters.session.send(counters.addresses[0]!, { type: 'nothing' })).position
  const over = new AbortController()
  const readers = Array.from({ length: side.watchers }, () => {
    const frames = counters.session.watch({ since, gaps: side.gaps })
    return read(frames, { since, isSlow: side.isSlow, over: over.signal })
  })
  const spent = await meter(() => drive(counters, steps / ACTORS))
  checkCounted(counters, steps / ACTORS + 1)
  over.abort()
  await counters.session.stop()
  const found = await Promise.all(readers)
  await counters.stop()
  return { spent, seen: sum(found.map(({ seen }) => seen)), missed: sum(found.map(({ missed }) => missed)) }
}

/** Reads until `over`. Throws where a fact is missing without a word. */
export async function read(
  frames: AsyncIterable<Frame>,
  { since, isSlow, over }: { since: number; isSlow: boolean; over: AbortSignal },
): Promise<{ seen: number; missed: number }> {
  let [seen, missed, cursor] = [0, 0, since]
  for await (const { type, pos, data } of frames) {
    if (type === 'live.gap' && data['to'] !== undefined) {
      missed += Number(data['missed'])
      cursor += Number(data['missed'])
    } else if (pos !== null) {
      if (pos !== cursor + 1) throw new Error(`a watcher saw ${pos} after ${cursor}, and nobody told it of a gap`)
      cursor = pos
      seen++
    }
    if (isSlow && seen % SLOW.frames === 0) await pause(SLOW.restMs)
    if (over.aborted) break
  }
  return { seen, missed }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

function caseOf(side: Side, rounds: readonly (readonly [Watched, Watched])[], steps: number): Case {
  const name = `${side.name}: ${ACTORS} actors, ${steps} steps`
  const speed = figure(
    'steps',
    'steps/s',
    rounds.map(([, { spent }]) => (steps / spent.wallUs) * 1e6),
  )
  const cpu = figure(
    'processor a step',
    'us',
    rounds.map(([, { spent }]) => spent.cpuUs / steps),
  )
  if (side.watchers === 0) return { name, figures: [speed, cpu] }
  const facts = (what: 'seen' | 'missed'): number[] => rounds.map(([, each]) => each[what] / side.watchers)
  return {
    name,
    figures: [
      speed,
      figure(
        'speed beside nobody',
        'x',
        rounds.map(([alone, each]) => alone.spent.wallUs / each.spent.wallUs),
        atLeast(0.95),
      ),
      cpu,
      figure('facts seen by a watcher', '', facts('seen')),
      figure('facts it was told to have missed', '', facts('missed')),
    ],
  }
}
