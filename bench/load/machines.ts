/** The machines that are measured. Each is as small as what it shows allows. */
import { type AnyActorRef, assign, sendTo, setup } from 'xstate'

/** What a counter carries besides its count, so that its stored snapshot is about 1 KB. */
const PAYLOAD = 'The quick brown fox jumps over the lazy dog. '.repeat(22)

/** The 1 KB step: changes its state and its count at each event. */
export const counter = setup({
  types: { context: {} as { count: number; payload: string }, events: {} as { type: 'count'; by: number } },
}).createMachine({
  id: 'counter',
  context: { count: 0, payload: PAYLOAD },
  initial: 'even',
  states: {
    even: { on: { count: { target: 'odd', actions: assign({ count: ({ context, event }) => context.count + event.by }) } } },
    odd: { on: { count: { target: 'even', actions: assign({ count: ({ context, event }) => context.count + event.by }) } } },
  },
})

export const COUNT = { type: 'count', by: 1 } as const

/** Waits for orders, and answers who asks: what is parked, and found again. About 100 bytes of snapshot. */
export const worker = setup({
  types: { context: {} as { done: number }, events: {} as { type: 'work' } | { type: 'how.many'; replyTo: AnyActorRef } },
}).createMachine({
  id: 'worker',
  context: { done: 0 },
  initial: 'idle',
  states: {
    idle: {
      on: {
        work: { actions: assign({ done: ({ context }) => context.done + 1 }) },
        'how.many': {
          actions: sendTo(
            ({ event }) => event.replyTo,
            ({ context }) => ({ type: 'so.many', done: context.done }),
          ),
        },
      },
    },
  },
})

/**
 * A supervisor of one template: starts a worker whenever it is told to and keeps nothing about it, so the table of cells is the only list of them.
 * Stands in for the root, under the name that alone may order cells.
 */
export const pool = setup({
  types: {
    context: {} as { src: string },
    input: {} as { input: { src: string } | null },
    events: {} as { type: 'pool.start'; id: string } | { type: `cell.${string}` } | { type: 'shutdown' },
  },
  actions: { 'cell.start': (_, _params: { id: string; src: string }) => {} },
}).createMachine({
  id: 'pool',
  context: ({ input }) => ({ src: input.input?.src ?? 'worker' }),
  initial: 'open',
  states: {
    open: {
      on: {
        'pool.start': { actions: { type: 'cell.start', params: ({ context, event }) => ({ id: event.id, src: context.src }) } },
        'cell.*': {},
        shutdown: 'closed',
      },
    },
    closed: { type: 'final' },
  },
})
