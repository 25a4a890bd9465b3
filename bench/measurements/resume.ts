/**
 * How long after a crash until the first event is answered, and does it depend on how long the run's history is?
 *
 *   process 1: makes the history through the engine, is killed       processes 2..n: each opens, resumes, asks one actor, is killed
 *
 * Each resume is a fresh process: nothing is compiled, and the log of the killed one is still to be read.
 */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { atMost, type Case, type Figure, figure, type Goal, type Measurement, type Options, scaled } from '../figure.ts'
import { inFreshProcess } from '../fresh.ts'
import type { FirstAnswer, FirstAnswerInput } from '../load/first-answer.child.ts'
import type { HistoryInput } from '../load/history.child.ts'
import { childAddress } from '../load/pool-run.ts'
import type { RawAnswer } from '../load/raw-answer.child.ts'
import { median } from '../meter.ts'

const ACTORS = 1_000
const STEPS = [2_500, 10_000, 40_000]
const HISTORY = new URL('../load/history.child.ts', import.meta.url)
const FIRST_ANSWER = new URL('../load/first-answer.child.ts', import.meta.url)
const RAW_ANSWER = new URL('../load/raw-answer.child.ts', import.meta.url)

export const resume: Measurement = {
  name: 'resume',
  question: 'how long after a crash until the first event is answered?',
  run: async (options) => {
    const actors = options.actors ?? scaled(ACTORS, options)
    const answers: Answers[] = []
    const cases: Case[] = []
    for (const size of STEPS) {
      const steps = scaled(size, options)
      answers.push(await resumed(options, actors, steps))
      cases.push({ name: `${steps} steps of ${actors} actors, a fresh process each time`, figures: firstAnswerFigures(answers.at(-1)!) })
    }
    const [shortest, longest] = [answers[0]!, answers.at(-1)!].map((each) => median(each.engine.map(({ answeredMs }) => answeredMs)))
    const ratio = figure('longest history to shortest', 'x', longest! / shortest!, atMost(1.5))
    return [...cases, { name: 'flat in history?', figures: [ratio] }]
  },
}

interface Answers {
  readonly engine: readonly FirstAnswer[]
  readonly raw: readonly RawAnswer[]
}

async function resumed(options: Options, actors: number, steps: number): Promise<Answers> {
  const path = join(options.folder, `${steps}.db`)
  const { run } = await inFreshProcess<{ run: string }>(HISTORY, { path, actors, steps } satisfies HistoryInput)
  const input: FirstAnswerInput = { path, runs: [run], address: childAddress(actors >> 1) }
  const [engine, raw]: [FirstAnswer[], RawAnswer[]] = [[], []]
  for (let round = 0; round < (options.rounds ?? 9); round++) {
    raw.push(await rawAnswer(path)) // First: the copy is of what the killed process left.
    engine.push(await inFreshProcess<FirstAnswer>(FIRST_ANSWER, input))
  }
  return { engine, raw }
}

/** Nobody has the file open, so it may be copied. */
async function rawAnswer(path: string): Promise<RawAnswer> {
  const copy = `${path}.copy`
  for (const suffix of ['', '-wal']) copyFileSync(`${path}${suffix}`, `${copy}${suffix}`)
  return inFreshProcess<RawAnswer>(RAW_ANSWER, { path: copy })
}

/** @param goal  in milliseconds, or null. */
export function firstAnswerFigures({ engine, raw }: Answers, goal: Goal | null = atMost(100)): Figure[] {
  const of = (what: keyof FirstAnswer): number[] => engine.map((each) => each[what])
  return [
    figure('first answer, from before the open', 'ms', of('answeredMs'), goal),
    figure('of it: open', 'ms', of('openMs')),
    figure('of it: resume', 'ms', of('resumeMs')),
    ...(raw.length === 0
      ? []
      : [
          figure(
            'raw: open, read a row, a synced write',
            'ms',
            raw.map(({ answeredMs }) => answeredMs),
          ),
        ]),
    figure('the next answer', 'ms', of('nextMs')),
    figure('before it: node starts, code is loaded', 'ms', of('loadedMs')),
    figure('resident memory', 'bytes', of('residentBytes')),
    figure('heap in use', 'bytes', of('heapBytes')),
  ]
}
