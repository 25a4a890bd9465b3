/** Time: named and computed delays, delayed events, cancelling, and eventless transitions. */
import { assign, cancel, enqueueActions, raise, setup } from 'xstate'
import { perform } from './stage.ts'

perform({
  title: 'a search waits until nobody types any more: a delayed event that is cancelled and set again',
  build: () =>
    setup({
      types: { context: {} as { query: string; searched: string[] }, events: {} as { type: 'TYPE'; text: string } | { type: 'SEARCH' } },
      delays: { debounce: 300 },
    }).createMachine({
      id: 'search',
      context: { query: '', searched: [] },
      on: {
        TYPE: {
          actions: [
            assign({ query: ({ event }) => event.text }),
            cancel('search'),
            raise({ type: 'SEARCH' }, { delay: 'debounce', id: 'search' }),
          ],
        },
        SEARCH: { actions: assign({ searched: ({ context }) => [...context.searched, context.query] }) },
      },
    }),
  script: [{ type: 'TYPE', text: 'a' }, 200, { type: 'TYPE', text: 'ab' }, 299, 1, { type: 'TYPE', text: 'abc' }, 1_000],
  states: [{}, {}, {}, {}, {}, {}, {}, {}],
})

perform({
  title: 'a retry waits longer each time: a delay that is computed from context and event',
  build: () =>
    setup({
      types: { context: {} as { attempts: number }, events: {} as { type: 'FAIL'; factor: number } },
      delays: { backoff: ({ context, event }) => 100 * context.attempts * ('factor' in event ? (event.factor as number) : 1) },
    }).createMachine({
      id: 'backoff',
      context: { attempts: 0 },
      initial: 'trying',
      states: {
        trying: { entry: assign({ attempts: ({ context }) => context.attempts + 1 }), on: { FAIL: 'waiting' } },
        waiting: { after: { backoff: 'trying' } },
      },
    }),
  script: [{ type: 'FAIL', factor: 2 }, 199, 1, { type: 'FAIL', factor: 3 }, 599, 1],
  states: ['trying', 'waiting', 'waiting', 'trying', 'waiting', 'waiting', 'trying'],
})

perform({
  title: 'a reminder comes once after a while, unless it was called off; two of them do not mix',
  build: () =>
    setup({
      types: {
        context: {} as { heard: string[] },
        events: {} as { type: 'remind'; what: string } | { type: 'forget' } | { type: 'reminder'; what: string },
      },
    }).createMachine({
      id: 'reminders',
      context: { heard: [] },
      on: {
        remind: {
          actions: enqueueActions(({ enqueue, event, self }) => {
            enqueue.sendTo(self, { type: 'reminder', what: event.what }, { id: event.what, delay: event.what === 'tea' ? 3_000 : 5_000 })
          }),
        },
        forget: { actions: cancel('tea') },
        reminder: { actions: assign({ heard: ({ context, event }) => [...context.heard, event.what] }) },
      },
    }),
  script: [
    { type: 'remind', what: 'tea' },
    1_000,
    { type: 'remind', what: 'cake' },
    { type: 'forget' },
    2_500,
    { type: 'remind', what: 'tea' },
    2_499,
    1,
    500,
  ],
  states: [{}, {}, {}, {}, {}, {}, {}, {}, {}, {}],
})

perform({
  title: 'a quiz finds its next state without an event',
  build: () =>
    setup({
      types: { context: {} as { correct: number; asked: number }, events: {} as { type: 'ANSWER'; right: boolean } },
      guards: { isWon: ({ context }) => context.correct >= 2, isLost: ({ context }) => context.asked >= 4 },
    }).createMachine({
      id: 'quiz',
      context: { correct: 0, asked: 0 },
      initial: 'question',
      states: {
        question: {
          on: {
            ANSWER: [
              { guard: ({ event }) => event.right, target: 'judging', actions: assign({ correct: ({ context }) => context.correct + 1 }) },
              { target: 'judging' },
            ],
          },
        },
        judging: {
          entry: assign({ asked: ({ context }) => context.asked + 1 }),
          always: [{ guard: 'isWon', target: 'won' }, { guard: 'isLost', target: 'lost' }, { target: 'question' }],
        },
        won: { type: 'final' },
        lost: { type: 'final' },
      },
      output: ({ context }) => context,
    }),
  script: [
    { type: 'ANSWER', right: false },
    { type: 'ANSWER', right: true },
    { type: 'ANSWER', right: false },
    { type: 'ANSWER', right: true },
  ],
  states: ['question', 'question', 'question', 'question', { output: { correct: 2, asked: 4 } }],
})

perform({
  title: 'a game that is over by time stops at once in every region',
  build: () =>
    setup({ delays: { round: 2_000 } }).createMachine({
      id: 'game',
      initial: 'on',
      states: {
        on: {
          type: 'parallel',
          states: {
            clock: { initial: 'tick', states: { tick: { after: { 500: 'tock' } }, tock: { after: { 500: 'tick' } } } },
            goal: { initial: 'open', states: { open: { after: { 300: 'shut' } }, shut: { after: { 700: 'open' } } } },
          },
          after: { round: 'over' },
        },
        over: { after: { 0: 'settled' } },
        settled: {},
      },
    }),
  script: [300, 300, 400, 999, 1, 1],
  states: [
    { on: { clock: 'tick', goal: 'open' } },
    { on: { clock: 'tick', goal: 'shut' } },
    { on: { clock: 'tock', goal: 'shut' } },
    { on: { clock: 'tick', goal: 'open' } },
    { on: { clock: 'tock', goal: 'shut' } },
    'settled',
    'settled',
  ],
})
