/**
 * What machines do with the memory of a project, as declarations. The handlers are in `actors/memory-effects.ts`.
 *
 *   kind            after a crash   why
 *   memory.recall   repeat          reads only
 *   memory.record   repeat          each record has a key; one that is there already is not written again
 *
 * Neither may ever stop work: a machine whose recall or record fails goes on without it.
 */
import { z } from 'zod'
import { effect, type RetryPolicy } from '../effect.ts'

/** How much is recalled: so many episodes, so many facts, and both in no more than so many tokens. */
const recallLimits = z.strictObject({ episodic: z.int().min(0), semantic: z.int().min(0), tokensMax: z.int().min(1) })
export type RecallLimits = z.infer<typeof recallLimits>
/** The same as the defaults of `[memory]`. */
export const RECALL_LIMITS: RecallLimits = { episodic: 5, semantic: 10, tokensMax: 16_384 }

/** What happened once: a work item that was closed. `atMs`: wall clock. */
const episode = z.strictObject({
  run: z.string(),
  item: z.string(),
  goal: z.string(),
  outcome: z.string(),
  summary: z.string(),
  files: z.array(z.string()),
  atMs: z.number(),
})
export type Episode = z.infer<typeof episode>

/** What is so, as somebody noted it. */
const fact = z.strictObject({ text: z.string(), source: z.string(), atMs: z.number() })
export type Fact = z.infer<typeof fact>

/** `project`: a folder. Left out: the one that the handler was made for. */
const recallInput = z.strictObject({ project: z.string().optional(), query: z.string(), limits: recallLimits })
export type RecallInput = z.infer<typeof recallInput>
/** `text`: what was found, in words for a model; empty where nothing was. The best come first. */
const recalled = z.strictObject({ text: z.string(), episodic: z.array(episode), semantic: z.array(fact) })
export type Recalled = z.infer<typeof recalled>
/** Finds what fits a query: free text, of which nothing is syntax. */
export const recall = effect({ kind: 'memory.recall', input: recallInput, output: recalled, repeat: 'repeat', timeoutMs: 30_000 })

const about = { key: z.string().min(1), project: z.string().optional() }
const recordInput = z.discriminatedUnion('kind', [
  z.strictObject({
    ...about,
    kind: z.literal('mission'),
    item: z.string(),
    goal: z.string(),
    outcome: z.string(),
    summary: z.string(),
    files: z.array(z.string()),
    tree: z.string(),
  }),
  z.strictObject({ ...about, kind: z.literal('fact'), text: z.string(), source: z.string() }),
  z.strictObject({ ...about, kind: z.literal('entity'), name: z.string(), is: z.string(), text: z.string() }),
  z.strictObject({ ...about, kind: z.literal('relationship'), source: z.string(), relation: z.string(), target: z.string() }),
])
export type RecordInput = z.infer<typeof recordInput>
/** `operations`: how many were written, those that were there already included. */
const recorded = z.strictObject({ operations: z.int() })
export type Recorded = z.infer<typeof recorded>

/** A queue that is full is waited for. */
const RECORD_RETRY: RetryPolicy = { maxAttempts: 3, baseDelayMs: 1_000, maxDelayMs: 10_000, exponentialBase: 2 }
/** Writes one memory. Over when it is committed. `key`: the same one of the same run is written once. */
export const record = effect({
  kind: 'memory.record',
  input: recordInput,
  output: recorded,
  repeat: 'repeat',
  timeoutMs: 60_000,
  retry: RECORD_RETRY,
})
