/**
 * Plays everybody around an orchestrator: effects are promises from a table, asks are answered from a script, and all of it is recorded.
 * The machine runs under XState's own `createActor`, which knows nothing of the engine.
 */
import { createActor, fromPromise, SimulatedClock, toPromise } from 'xstate'
import type { JsonObject } from '../../src/json.ts'
import type { OrchestratorInput, Outcome } from '../../src/machines/ledger.ts'
import { orchestrator } from '../../src/machines/orchestrator.ts'
import { type AskEvent, type AskParams, EXIT_KEY, type ThreadAppend } from '../../src/protocol.ts'

/** What answers an ask: the answer itself, `down`, `circles` (down, its tool calls went in circles), `timeout`, a wait (of the clock), or nothing. */
export type Reply =
  | { readonly type: string; readonly [key: string]: unknown }
  | { readonly waitMs: number; readonly then: Reply }
  | 'down'
  | 'circles'
  | 'timeout'
  | null

export interface Play {
  /** Answers in order, by the last part of the address; the last one is given again. */
  readonly coder?: readonly Reply[]
  readonly executor?: readonly ((ask: JsonObject) => Reply)[]
  readonly reviewer?: readonly ((ask: JsonObject) => Reply)[]
  /** What the coder has of an item that is abandoned. Default: nothing. */
  readonly abandoned?: Reply
  /** What the model says when it is asked to plan. */
  readonly plans?: readonly string[]
  /** Trees that staging finds, in order; the last one again. */
  readonly trees?: readonly string[]
  /** The tree of the promotion's plan. Default: the last one that was staged. */
  readonly planTree?: string
  readonly files?: readonly string[]
  readonly fails?: Readonly<Record<string, { code: string; message: string }>>
}

export interface Played {
  readonly outcome: Outcome
  readonly asks: readonly AskParams[]
  /** Effects in order, by name: `open`, `stage`, `plan`, `promote tree-2`. */
  readonly effects: readonly string[]
  readonly facts: readonly string[]
  readonly said: readonly { readonly type: string; readonly [key: string]: unknown }[]
  readonly appends: readonly ThreadAppend[]
  /** What the memory was told. */
  readonly recorded: readonly JsonObject[]
}

const GATE = { id: 'test', run: 'npm test', timeoutMs: 1_000 }
export const WORKSPACE = { source: '/project', dir: '/staged', mode: 'copy', base: 'tree-0' }

export const INPUT: OrchestratorInput = {
  address: '/team/orchestrator',
  peers: { coder: '/team/coder', reviewer: '/team/reviewer', executor: '/team/executor' },
  goal: 'Add a flag',
  work: [{ id: 'flag', description: 'Add the flag' }],
  workspace: { source: '/project', mode: 'auto', promote: 'gates' },
  gates: { level: 'strict', checks: [GATE] },
  system: 'You plan.',
}

export const gateOf = (ask: JsonObject, passed: boolean, output = ''): Reply => ({
  type: 'gate.result',
  passed,
  tree: String(ask['tree']),
  summary: passed ? 'test passed' : 'test failed with exit code 1',
  checks: [{ id: 'test', exitCode: passed ? 0 : 1, output, durationMs: 12 }],
})
const passes = (ask: JsonObject): Reply => gateOf(ask, true)
export const approves = (ask: JsonObject): Reply => ({ type: 'review.given', verdict: 'approved', feedback: [], tree: String(ask['tree']) })
export const wants =
  (...feedback: string[]) =>
  (ask: JsonObject): Reply => ({ type: 'review.given', verdict: 'needs_changes', feedback, tree: String(ask['tree']) })
const DONE: Reply = { type: 'task.done', summary: 'Added the flag.' }

/** Runs an orchestrator to its end. */
export async function play(script: Play, input: Partial<OrchestratorInput> = {}): Promise<Played> {
  const asks: AskParams[] = []
  const effects: string[] = []
  const appends: ThreadAppend[] = []
  const said: { type: string }[] = []
  const recorded: JsonObject[] = []
  const clock = new SimulatedClock()
  const counts: Record<string, number> = {}
  const next = <T>(name: string, list: readonly T[]): T => {
    counts[name] = (counts[name] ?? 0) + 1
    return list[Math.min(counts[name], list.length) - 1] as T
  }
  const perform = (name: string, output: (input: never) => unknown) =>
    fromPromise(async ({ input: given }: { input: never }) => {
      const failure = script.fails?.[name]
      effects.push(name === 'promote' ? `promote ${(given as { tree: string }).tree}` : name)
      if (failure !== undefined) throw failure
      return output(given)
    })
  let tree = 'tree-0'
  const files = script.files ?? ['src/flag.ts']
  const answers: Record<string, (ask: JsonObject) => Reply> = {
    coder: (ask) =>
      ask['type'] === 'task.abandon'
        ? (script.abandoned ?? { type: 'task.abandoned', partial: null })
        : next('coder', script.coder ?? [DONE]),
    executor: (ask) => next('executor', script.executor ?? [passes])(ask),
    reviewer: (ask) => next('reviewer', script.reviewer ?? [approves])(ask),
  }
  const machine = orchestrator.provide({
    actors: {
      generate: perform('generate', () => ({
        message: { role: 'assistant', content: next('plans', script.plans ?? ['{}']) },
        usage: { inputTokens: 1, outputTokens: 1, costUsd: 0 },
        finish: 'stop',
      })),
      open: perform('open', () => WORKSPACE),
      stage: perform('stage', () => {
        tree = next('trees', script.trees ?? ['tree-1', 'tree-2', 'tree-3', 'tree-4'])
        return { tree, files, added: 3, removed: 1, diff: `diff to ${tree}`, truncated: false }
      }),
      record: perform('record', (input: JsonObject) => recorded.push(input)),
      plan: perform('plan', () => ({ target: '/project', tree: script.planTree ?? tree, files: files.map((path) => ({ path })) })),
      promote: perform('promote', (plan: { tree: string }) => ({ tree: plan.tree, files })),
    } as never,
    actions: {
      'thread.append': (_, params) => void appends.push(params),
      ask: ({ self }, params) => {
        asks.push(params)
        // A team without limits would ask for ever, and no timeout of the test would come through.
        if (asks.length > 100) throw new Error('asked 100 times')
        const reply = answers[params.to.split('/').at(-1)!]!(params.event)
        queueMicrotask(() => {
          const waits = reply !== null && typeof reply === 'object' && 'waitMs' in reply
          if (waits) clock.increment(reply.waitMs as number)
          const now = waits ? (reply.then as Reply) : reply
          if (now !== null) self.send(eventOf(params, now as never))
        })
      },
    },
  })
  const actor = createActor(machine, { input: { ...INPUT, ...input }, clock })
  actor.on('*', (fact) => void said.push(fact))
  actor.start()
  const output = (await toPromise(actor)) as Outcome & { [EXIT_KEY]?: { output: Outcome } }
  const outcome: Outcome = output[EXIT_KEY]?.output ?? output
  return { outcome, asks, effects, facts: said.map((fact) => fact.type), said, appends, recorded }
}

/** What the engine would send for such a reply. */
export function eventOf({ id, to }: AskParams, reply: Exclude<Reply, null>): AskEvent {
  if (reply === 'timeout') return { type: 'ask.timed_out', id, to, status: 'timed_out', partial: null }
  const circle = { code: 'E_LOOP_ESCALATED', message: `${to}: tool loop, 4 times the same call with the same result: read, on flag` }
  if (reply === 'circles') return { type: 'ask.down', id, to, incarnation: 1, reason: { kind: 'error', error: circle } }
  if (reply !== 'down') return { type: 'ask.answered', id, answer: reply as never }
  return { type: 'ask.down', id, to, incarnation: 1, reason: { kind: 'error', error: { code: 'E_DEFECT', message: 'boom' } } }
}
