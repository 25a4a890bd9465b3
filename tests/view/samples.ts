/** Values that the views' tests start from; every test says what is different. */

import type { Frame, Recovery, Result } from '../../src/runtime/engine.ts'
import type { EffectRow, RunRow } from '../../src/runtime/store.ts'

export const RUN = '01M7W3MARPQ8Z2K5T9D3XVHE7B'
export const START = Date.UTC(2026, 10, 20, 9, 12, 4, 118)

export function frame(type: string, more: Partial<Frame> = {}): Frame {
  return { v: 1, pos: 1, at: new Date(START).toISOString(), run: RUN, type, path: null, inc: null, cause: null, data: {}, ...more }
}

export function actorFrame(type: string, path: string, data: Frame['data'], more: Partial<Frame> = {}): Frame {
  return frame(type, { path, inc: 1, data, ...more })
}

export function result(more: Partial<Result> = {}): Result {
  return {
    run: RUN,
    name: 'csv-export',
    status: 'succeeded',
    reason: null,
    output: teamOutput(),
    startedAt: START,
    endedAt: START + 102_004,
    position: 412,
    usage: { inputTokens: 35_120, outputTokens: 6_690, costUsd: 0, simulated: true, actors: 4, restarts: 1, effects: 57, inDoubt: 0 },
    inDoubt: [],
    repeated: 0,
    promises: 0,
    ...more,
  }
}

export function teamOutput(more: Record<string, unknown> = {}) {
  return {
    status: 'done',
    summary: 'Added CSV export.',
    verification: { level: 'verified', gates: [{ id: 'test', status: 'passed', tree: '9c1f2ab0d7' }] },
    promoted: true,
    tree: '9c1f2ab0d7',
    files: ['src/csv.ts', 'src/report.ts'],
    added: 212,
    removed: 8,
    work: [{ id: 'parse', status: 'done', actor: '/team/coder', attempts: 1, summary: 'quoted' }],
    error: null,
    reasons: [],
    ...more,
  } as Result['output']
}

export function runRow(more: Partial<RunRow> = {}): RunRow {
  return {
    run: RUN,
    name: 'csv-export',
    project: '/p',
    status: 'running',
    reason: null,
    tree: { id: 'team', strategy: 'one_for_one', intensity: 3, periodMs: 60_000, children: [] },
    input: null,
    limits: { tokensMax: null, deadlineAt: null },
    meta: null,
    output: null,
    createdAt: START,
    endedAt: null,
    epoch: 2,
    owner: { pid: 4121, host: 'build-1', startedAt: START },
    position: 388,
    hash: 'h',
    clock: { runMs: 60_000, wallMs: START + 60_000 },
    counters: { seq: 1, effects: 1, timers: 1 },
    ...more,
  }
}

export function effectRow(more: Partial<EffectRow> = {}): EffectRow {
  return {
    id: 'e12',
    owner: '/team/coder',
    incarnation: 1,
    invoke: 'generate',
    invocation: 1,
    src: 'generate',
    kind: 'llm.generate',
    input: {},
    policy: 'repeat',
    timeoutMs: null,
    retry: { maxAttempts: 1, baseDelayMs: 1, maxDelayMs: 1, exponentialBase: 2 },
    reserve: null,
    answer: true,
    status: 'succeeded',
    attempt: 1,
    startedAt: 59_600,
    nextAt: null,
    output: null,
    error: null,
    usage: null,
    evidence: null,
    cause: null,
    ...more,
  }
}

export function recovery(more: Partial<Recovery> = {}): Recovery {
  return {
    position: 388,
    epoch: 2,
    stoppedAt: START,
    owner: { pid: 4121, host: 'build-1' },
    crashes: null,
    effects: [],
    timersOverdue: 0,
    timersPending: 0,
    mail: 0,
    strays: [],
    machines: [],
    ...more,
  }
}

/** At so many milliseconds after the start. */
const at = (ms: number) => ({ at: new Date(START + ms).toISOString() })
/** A run in which a coder crashed once. */
export const STORY = [
  frame('run.started'),
  actorFrame('actor.started', '/team', { machine: 'troupe.supervisor', version: '1', parent: null }),
  actorFrame('actor.started', '/team/coder', { machine: 'coder', version: '3', parent: '/team' }),
  actorFrame('actor.started', '/team/lead', { machine: 'orchestrator', version: '1', parent: '/team' }, at(1_000)),
  actorFrame('work.assigned', '/team/lead', { item: 'parse', to: '/team/coder' }, at(1_000)),
  actorFrame('work.assigned', '/team/lead', { item: 'parse', to: '/team/coder', round: 2 }, at(2_000)),
  actorFrame('actor.crashed', '/team/coder', { code: 'E_PROVIDER_TIMEOUT' }, at(3_000)),
  actorFrame(
    'actor.restarted',
    '/team/coder',
    { reason: { kind: 'error', error: { code: 'E_PROVIDER_TIMEOUT' } } },
    { inc: 2, ...at(4_000) },
  ),
  actorFrame('actor.stopped', '/team/lead', { reason: { kind: 'normal' } }, at(102_000)),
  actorFrame('actor.stopped', '/team/coder', { reason: { kind: 'shutdown', detail: 'ordered' } }, { inc: 2, ...at(102_000) }),
  actorFrame('actor.stopped', '/team', { reason: { kind: 'shutdown', detail: 'completed' } }, at(102_004)),
]
/** What its models have used. */
export const EFFECTS = [
  effectRow({ usage: { inputTokens: 900, outputTokens: 100, costUsd: 0, simulated: true } }),
  effectRow({ id: 'e13', usage: { inputTokens: 40, outputTokens: 2, costUsd: 0, simulated: true } }),
]
