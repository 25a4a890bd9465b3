/** Forms, editors and players: hierarchy, parallel states, history, tags and final states. */
import { assign, setup } from 'xstate'
import { perform } from './stage.ts'

perform({
  title: 'a feedback form asks back, may be cancelled, and ends with what was said',
  build: () =>
    setup({
      types: {
        context: {} as { feedback: string; rating: number | null },
        events: {} as
          | { type: 'feedback.good' }
          | { type: 'feedback.bad' }
          | { type: 'feedback.update'; value: string }
          | { type: 'submit' }
          | { type: 'close' }
          | { type: 'back' }
          | { type: 'restart' },
      },
      guards: { feedbackValid: ({ context }) => context.feedback.length > 0 },
    }).createMachine({
      id: 'feedback',
      initial: 'prompt',
      context: { feedback: '', rating: null },
      states: {
        prompt: { on: { 'feedback.good': { target: 'thanks', actions: assign({ rating: 5 }) }, 'feedback.bad': 'form' } },
        form: {
          tags: 'editing',
          on: {
            'feedback.update': { actions: assign({ feedback: ({ event }) => event.value }) },
            back: 'prompt',
            submit: { guard: 'feedbackValid', target: 'thanks' },
          },
        },
        thanks: {},
        closed: { type: 'final' },
      },
      on: { close: '.closed' },
      output: ({ context }) => ({ said: context.feedback }),
    }),
  script: [
    { type: 'feedback.bad' },
    { type: 'submit' },
    { type: 'feedback.update', value: 'too slow' },
    { type: 'back' },
    { type: 'feedback.bad' },
    { type: 'submit' },
    { type: 'close' },
  ],
  states: ['prompt', 'form', 'form', 'form', 'prompt', 'form', 'thanks', { output: { said: 'too slow' } }],
})

perform({
  title: 'a media player is in several states at once, and one region waits for the other',
  build: () =>
    setup({}).createMachine({
      id: 'player',
      type: 'parallel',
      states: {
        track: {
          initial: 'paused',
          states: {
            paused: { on: { PLAY: 'playing' } },
            playing: { on: { STOP: 'paused' }, after: { 3000: 'over' } },
            over: { type: 'final' },
          },
        },
        volume: {
          initial: 'normal',
          states: {
            normal: { on: { MUTE: 'muted' } },
            muted: { on: { UNMUTE: 'normal', PLAY: 'normal', LEAVE: 'left' } },
            left: { type: 'final' },
          },
        },
      },
      output: 'both are over',
    }),
  script: [{ type: 'MUTE' }, { type: 'PLAY' }, 2_000, { type: 'MUTE' }, 1_000, { type: 'PLAY' }, { type: 'MUTE' }, { type: 'LEAVE' }],
  states: [
    { track: 'paused', volume: 'normal' },
    { track: 'paused', volume: 'muted' },
    { track: 'playing', volume: 'normal' },
    { track: 'playing', volume: 'normal' },
    { track: 'playing', volume: 'muted' },
    { track: 'over', volume: 'muted' },
    { track: 'over', volume: 'normal' },
    { track: 'over', volume: 'muted' },
    { output: 'both are over' },
  ],
})

perform({
  title: 'a payment form comes back to the method that was chosen before: shallow history',
  build: () =>
    setup({}).createMachine({
      id: 'payment',
      initial: 'method',
      states: {
        method: {
          initial: 'cash',
          states: {
            cash: { on: { SWITCH_CHECK: 'check' } },
            check: { initial: 'number', states: { number: { on: { FILL: 'date' } }, date: {} }, on: { SWITCH_CASH: 'cash' } },
            hist: { type: 'history' },
          },
          on: { NEXT: 'review' },
        },
        review: { on: { PREVIOUS: 'method.hist' } },
      },
    }),
  script: [
    { type: 'SWITCH_CHECK' },
    { type: 'FILL' },
    { type: 'NEXT' },
    { type: 'PREVIOUS' },
    { type: 'SWITCH_CASH' },
    { type: 'NEXT' },
    { type: 'PREVIOUS' },
  ],
  states: [
    { method: 'cash' },
    { method: { check: 'number' } },
    { method: { check: 'date' } },
    'review',
    { method: { check: 'number' } },
    { method: 'cash' },
    'review',
    { method: 'cash' },
  ],
})

perform({
  title: 'a text editor keeps all that was switched on over a visit to its help: deep history, in parallel',
  build: () =>
    setup({}).createMachine({
      id: 'editor',
      initial: 'editing',
      states: {
        editing: {
          type: 'parallel',
          states: {
            bold: {
              initial: 'off',
              states: {
                off: { on: { TOGGLE_BOLD: 'on' } },
                on: { initial: 'light', states: { light: { on: { HEAVIER: 'heavy' } }, heavy: {} }, on: { TOGGLE_BOLD: 'off' } },
              },
            },
            list: { initial: 'none', states: { none: { on: { BULLETS: 'bullets' } }, bullets: { on: { NONE: 'none' } } } },
            hist: { type: 'history', history: 'deep' },
          },
          on: { HELP: 'help', RESET: '.hist' },
        },
        help: { tags: ['modal', 'reading'], on: { CLOSE: 'editing.hist', FRESH: 'editing' } },
      },
    }),
  script: [
    { type: 'TOGGLE_BOLD' },
    { type: 'HEAVIER' },
    { type: 'BULLETS' },
    { type: 'HELP' },
    { type: 'CLOSE' },
    { type: 'HELP' },
    { type: 'FRESH' },
  ],
  states: [
    { editing: { bold: 'off', list: 'none' } },
    { editing: { bold: { on: 'light' }, list: 'none' } },
    { editing: { bold: { on: 'heavy' }, list: 'none' } },
    { editing: { bold: { on: 'heavy' }, list: 'bullets' } },
    'help',
    { editing: { bold: { on: 'heavy' }, list: 'bullets' } },
    'help',
    { editing: { bold: 'off', list: 'none' } },
  ],
})

perform({
  title: 'a wizard goes on when all parts of a page are done, and says so to who listens',
  build: () =>
    setup({ types: { emitted: {} as { type: 'page.done'; page: number } } }).createMachine({
      id: 'wizard',
      initial: 'page1',
      states: {
        page1: {
          type: 'parallel',
          states: {
            name: { initial: 'empty', states: { empty: { on: { NAME: 'filled' } }, filled: { type: 'final' } } },
            address: { initial: 'empty', states: { empty: { on: { ADDRESS: 'filled' } }, filled: { type: 'final' } } },
          },
          onDone: 'page2',
        },
        page2: {
          initial: 'terms',
          states: { terms: { on: { ACCEPT: 'accepted' } }, accepted: { type: 'final', output: { accepted: true } } },
          onDone: { target: 'over' },
        },
        over: { type: 'final' },
      },
      output: ({ event }) => ({ by: event.type }),
    }),
  script: [{ type: 'NAME' }, { type: 'ADDRESS' }, { type: 'ACCEPT' }],
  states: [
    { page1: { name: 'empty', address: 'empty' } },
    { page1: { name: 'filled', address: 'empty' } },
    { page2: 'terms' },
    { output: { by: 'xstate.done.state.wizard.over' } },
  ],
})
