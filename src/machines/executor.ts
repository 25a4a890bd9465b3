/**
 * Runs gates: commands that must pass on exactly the tree that is named. Needs no model.
 *
 *   idle --gate.run--> running --gate done--> idle     answers gate.result {passed, tree, summary, checks}
 *    |                    | '--gate failed--> idle     answers gate.failed {error}
 *    |                    '--gate.run--> running       the asker asks again (after a crash): the newest request counts
 *    '--shutdown--> stopped
 *
 * A request that does not fit its schema is answered by `rejected {reasons}`, in every state.
 */
import { type AnyActorRef, assertEvent, assign, sendTo, setup } from 'xstate'
import type { z } from 'zod'
import { errorData } from '../errors.ts'
import { gate } from './effects.ts'
import { gateRun, reasons } from './vocabulary.ts'

type GateRequest = z.infer<typeof gateRun>

/** Plain data; `replyTo` is whom the answer goes to. */
type ExecutorContext = {
  readonly request: GateRequest | null
  readonly replyTo: AnyActorRef | null
}

type ExecutorEvent = ({ type: 'gate.run'; replyTo?: AnyActorRef } & GateRequest) | { type: 'shutdown' }

const base = setup({
  types: { context: {} as ExecutorContext, events: {} as ExecutorEvent },
  actors: { gate },
  guards: {
    isRequest: ({ event }) => event.type === 'gate.run' && event.replyTo !== undefined && gateRun.safeParse(event).success,
    wantsAnswer: ({ event }) => event.type === 'gate.run' && event.replyTo !== undefined,
  },
  actions: {
    take: assign(({ event }) => {
      assertEvent(event, 'gate.run')
      const { workspace, tree, checks } = gateRun.parse(event)
      return { request: { workspace, tree, checks }, replyTo: event.replyTo ?? null }
    }),
    reject: sendTo(
      ({ event }) => (event as { replyTo: AnyActorRef }).replyTo,
      ({ event }) => ({ type: 'rejected', reasons: reasons(gateRun.safeParse(event).error!) }),
    ),
    reset: assign({ request: null, replyTo: null }),
  },
})

const onRequest = [
  { guard: 'isRequest', target: '.running', actions: 'take' },
  { guard: 'wantsAnswer', actions: 'reject' },
] as const

/** Machine of `/team/executor`. Takes no input. */
export const executor = base.createMachine({
  id: 'executor',
  version: '1',
  context: { request: null, replyTo: null },
  initial: 'idle',
  on: { 'gate.run': onRequest },
  states: {
    idle: { entry: 'reset', on: { shutdown: 'stopped' } },
    running: {
      invoke: {
        id: 'gate',
        src: 'gate',
        input: ({ context }) => context.request!,
        onDone: {
          target: 'idle',
          actions: sendTo(
            ({ context }) => context.replyTo!,
            ({ event }) => ({ type: 'gate.result', ...event.output }),
          ),
        },
        onError: {
          target: 'idle',
          actions: sendTo(
            ({ context }) => context.replyTo!,
            ({ event }) => ({ type: 'gate.failed', error: errorData(event.error) }),
          ),
        },
      },
    },
    stopped: { type: 'final' },
  },
})
