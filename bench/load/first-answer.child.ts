/** A fresh process goes on with a run and asks one actor: how long until the answer, and what does it hold in memory by then? Then it is killed. */
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { answer, die, question } from '../fresh.ts'
import { poolEngine } from './pool-run.ts'

export interface FirstAnswerInput {
  readonly path: string
  /** Runs to go on with; the actor is asked in the first. */
  readonly runs: readonly string[]
  readonly address: string
}

/** Milliseconds; bytes. */
export interface FirstAnswer {
  /** From the start of the process until Troupe's code and xstate are loaded. */
  readonly loadedMs: number
  readonly openMs: number
  readonly resumeMs: number
  /** From before the open until the actor's answer, which is durable, is here. */
  readonly answeredMs: number
  /** The same for one more question. */
  readonly nextMs: number
  readonly residentBytes: number
  readonly heapBytes: number
}

const { path, runs, address } = question<FirstAnswerInput>()
const loadedMs = performance.now()
const start = performance.now()
const store = sqliteStore({ path })
const opened = performance.now()
const engine = poolEngine(store)
const sessions = await Promise.all(runs.map((run) => engine.resume(run)))
const resumed = performance.now()
const first = sessions[0]!
await first.ask(address, { type: 'how.many' })
const answered = performance.now()
await first.ask(address, { type: 'how.many' })
const nextMs = performance.now() - answered
const { rss: residentBytes, heapUsed: heapBytes } = process.memoryUsage()
const times = { loadedMs, openMs: opened - start, resumeMs: resumed - opened, answeredMs: answered - start, nextMs }
answer({ ...times, residentBytes, heapBytes } satisfies FirstAnswer)
die()
