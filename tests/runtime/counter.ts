/** The smallest actor that can be asked, crashed, ended and told to wait: for tests that are about the engine, not about machines. */
import { type AnyActorRef, assign, sendTo, setup } from 'xstate'

export const counter = setup({
  types: {
    context: {} as { n: number },
    input: {} as { n: number } | undefined,
    events: {} as
      | { type: 'add'; n: number }
      | { type: 'get'; replyTo: AnyActorRef }
      | { type: 'boom' | 'end' | 'mute' | 'wait' | 'last.breath' },
  },
}).createMachine({
  id: 'counter',
  context: ({ input }) => ({ n: input?.n ?? 0 }),
  on: {
    add: { actions: assign({ n: ({ context, event }) => context.n + event.n }) },
    get: {
      actions: sendTo(
        ({ event }) => event.replyTo,
        ({ context }) => ({ type: 'got', n: context.n }),
      ),
    },
    boom: {
      actions: assign(() => {
        throw new Error('boom')
      }),
    },
    end: '.ended',
    wait: '.waiting',
    mute: {},
  },
  initial: 'idle',
  states: { idle: {}, waiting: { tags: 'waiting', after: { 1000: 'idle' } }, ended: { type: 'final' } },
  output: ({ context }) => context.n,
})
