/**
 * The actors of the stage. How a worker behaves in one life is data that the stage gives it with its start; what it does then is up to the machine, which is pure.
 *
 *   born -> declined | ended                    the first step says no, or comes to its end at once
 *        -> opening --open--> running           ready only from then on
 *        -> running --boom--> (throws)          --finish | exit--> ended
 *   opening | running --shutdown--> closing --cleanUpMs--> ended
 *
 * The client asks for others: a promise in the process that asked would die with it.
 */
import { type AnyActorRef, assign, emit, sendTo, setup } from 'xstate'
import { z } from 'zod'
import { effect } from '../../src/effect.ts'
import type { Json } from '../../src/json.ts'
import { EXIT_KEY, type ExitReason } from '../../src/protocol.ts'

/** How one life of a worker behaves. The default runs, and stops at once when it is asked to. */
export interface Does {
  /** `crash`: it starts, and crashes right after. An exit reason: it starts, and ends with it in its first step. `hang`: never ready before `open`. */
  readonly start?: 'run' | 'fail' | 'decline' | 'hang' | 'crash' | ExitReason
  /** Time that it needs for an ordered stop. `forever`: it never ends by itself. Default 0. */
  readonly cleanUpMs?: number | 'forever'
  /** How it ends when it is asked to stop. `crash`: it throws. Default: as ordered. */
  readonly onStop?: ExitReason | 'crash'
}

export const NORMAL: ExitReason = { kind: 'normal' }
export const KILLED: ExitReason = { kind: 'killed' }
export const CRASH: ExitReason = { kind: 'error', error: { code: 'E_BOOM', message: 'boom' } }
export const shutdown = (detail: 'ordered' | 'completed' | 'gave_up' | 'timeout'): ExitReason => ({ kind: 'shutdown', detail })

const BEHAVIOUR = '@does'

/** The input of a life: what its spec gives, and how it is to behave. */
export const inputWith = (given: Json | undefined, does: Does): Json => ({ given: given ?? null, [BEHAVIOUR]: does as Json })

interface WorkerContext {
  readonly does: Does
  /** What the spec gave. */
  readonly given: Json
  /** Output of its final state. */
  readonly end: Json | null
  /** What it has been told: `note` events and answers. */
  readonly heard: readonly Json[]
}

function thrown(message: string): never {
  throw new Error(message)
}
const exitWith = (reason: ExitReason): Json => ({ [EXIT_KEY]: reason as unknown as Json })

/** What the stage answers, when it likes to. */
const json = z.json() as unknown as z.ZodType<Json>
const call = effect({ kind: 'stage.call', input: z.object({ of: json }), output: json, repeat: 'repeat' })

const base = setup({
  types: {
    context: {} as WorkerContext,
    input: {} as { readonly given: Json; readonly [BEHAVIOUR]: Does },
    events: {} as
      | { readonly type: 'boom' | 'finish' | 'open' | 'shutdown' | 'call' }
      | { readonly type: 'exit'; readonly reason: ExitReason }
      | { readonly type: 'note'; readonly n: Json },
    output: {} as Json,
  },
  actors: { call },
  delays: { cleanUp: ({ context }) => (context.does.cleanUpMs === 'forever' ? 0 : (context.does.cleanUpMs ?? 0)) },
  guards: {
    declines: ({ context }) => context.does.start === 'decline',
    hangs: ({ context }) => context.does.start === 'hang',
    ends: ({ context }) => typeof context.does.start === 'object',
    staysOpen: ({ context }) => context.does.cleanUpMs === 'forever',
    needsTime: ({ context }) => (context.does.cleanUpMs ?? 0) !== 0,
  },
  actions: {
    asked: emit({ type: 'asked' }),
    cleaned: emit({ type: 'cleaned' }),
    hear: assign({ heard: ({ context, event }) => [...context.heard, (event as unknown as { output: Json }).output] }),
    /** In an assignment, because plain actions run after the commit and crash nobody. */
    crash: assign(() => thrown('boom')),
    leave: assign(({ context }) => {
      const { onStop } = context.does
      if (onStop === 'crash') thrown('weird')
      return typeof onStop === 'object' ? { end: exitWith(onStop) } : {}
    }),
  },
})

const stops = [
  { guard: 'staysOpen', actions: 'asked' },
  { guard: 'needsTime', target: 'closing', actions: 'asked' },
  { target: 'ended', actions: ['asked', 'leave'] },
] as const

export const worker = base.createMachine({
  id: 'worker',
  version: '1',
  context: ({ input }) => {
    const does = input[BEHAVIOUR]
    if (does.start === 'fail') thrown('no start')
    return { does, given: input.given, end: typeof does.start === 'object' ? exitWith(does.start) : null, heard: [] }
  },
  initial: 'born',
  on: { note: { actions: assign({ heard: ({ context, event }) => [...context.heard, event.n] }) } },
  states: {
    born: {
      always: [
        { guard: 'declines', target: 'ended', actions: [emit({ type: 'declined' }), assign({ end: { ignore: true } })] },
        { guard: 'ends', target: 'ended' },
        { guard: 'hangs', target: 'opening' },
        { target: 'running' },
      ],
    },
    opening: { on: { open: 'running', boom: { actions: 'crash' }, shutdown: stops } },
    running: {
      tags: 'up',
      initial: 'idle',
      entry: sendTo(
        ({ self }) => self as AnyActorRef,
        ({ context }) => ({ type: context.does.start === 'crash' ? 'boom' : 'nothing' }),
      ),
      states: {
        idle: { on: { call: 'calling' } },
        calling: {
          invoke: {
            src: 'call',
            input: ({ context }) => ({ of: context.given }),
            onDone: { target: 'idle', actions: 'hear' },
          },
        },
      },
      on: {
        boom: { actions: 'crash' },
        finish: 'ended',
        exit: { target: 'ended', actions: assign({ end: ({ event }) => exitWith(event.reason) }) },
        shutdown: stops,
      },
    },
    closing: { tags: 'up', after: { cleanUp: { target: 'ended', actions: ['cleaned', 'leave'] } } },
    ended: { type: 'final' },
  },
  output: ({ context }) => context.end,
})

/** Sends requests to supervisors, and keeps what it is told under their names. */
export const client = setup({
  types: {
    context: {} as { readonly replies: Readonly<Record<string, Json>> },
    events: {} as
      | { readonly type: 'please'; readonly id: string; readonly to: string; readonly request: { readonly type: string } }
      | { readonly type: 'ask.answered'; readonly id: string; readonly answer: Json }
      | { readonly type: 'ask.down' | 'ask.timed_out'; readonly id: string },
  },
  actions: { ask: (_, _params: { id: string; to: string; event: { type: string }; timeoutMs: number }) => {} },
}).createMachine({
  id: 'client',
  version: '1',
  context: { replies: {} },
  on: {
    please: {
      actions: { type: 'ask', params: ({ event: { id, to, request } }) => ({ id, to, event: request, timeoutMs: 1_000_000_000 }) },
    },
    'ask.answered': { actions: assign({ replies: ({ context, event }) => ({ ...context.replies, [event.id]: event.answer }) }) },
    'ask.down': { actions: assign({ replies: ({ context, event }) => ({ ...context.replies, [event.id]: { type: 'ask.down' } }) }) },
    'ask.timed_out': {
      actions: assign({ replies: ({ context, event }) => ({ ...context.replies, [event.id]: { type: 'ask.timed_out' } }) }),
    },
  },
})
