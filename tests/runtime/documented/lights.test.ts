/** Lights, toggles and buttons: states, transitions, delayed transitions and re-entry as the documentation introduces them. */
import { assign, setup } from 'xstate'
import { perform } from './stage.ts'

perform({
  title: 'a traffic light changes by itself and starts over on a power failure',
  build: () =>
    setup({ delays: { green: 3_000, yellow: 500, red: 2_000 } }).createMachine({
      id: 'light',
      initial: 'green',
      states: {
        green: { after: { green: 'yellow' } },
        yellow: { after: { yellow: 'red' } },
        red: {
          initial: 'walk',
          states: { walk: { after: { 600: 'wait' } }, wait: { after: { 600: 'stop' } }, stop: {} },
          after: { red: 'green' },
        },
      },
      on: { POWER_OUTAGE: '.red', POWER_RESTORED: { target: '.red', reenter: true } },
    }),
  script: [2_999, 1, 500, 600, 600, 800, 3_000, { type: 'POWER_OUTAGE' }, 700, { type: 'POWER_RESTORED' }, 1_999, 1],
  states: [
    'green',
    'green',
    'yellow',
    { red: 'walk' },
    { red: 'wait' },
    { red: 'stop' },
    'green',
    'yellow',
    { red: 'walk' },
    { red: 'wait' },
    { red: 'walk' },
    { red: 'stop' },
    'green',
  ],
})

perform({
  title: 'a toggle counts how often it was switched on and gives up at its maximum',
  input: { maxCount: 2 },
  build: () =>
    setup({
      types: { context: {} as { count: number; maxCount: number }, input: {} as { maxCount: number }, events: {} as { type: 'TOGGLE' } },
      guards: { isBelow: ({ context }) => context.count < context.maxCount },
    }).createMachine({
      id: 'toggle',
      context: ({ input }) => ({ count: 0, maxCount: input.maxCount }),
      initial: 'inactive',
      states: {
        inactive: { on: { TOGGLE: { guard: 'isBelow', target: 'active' } } },
        active: { entry: assign({ count: ({ context }) => context.count + 1 }), on: { TOGGLE: 'inactive' }, after: { 2000: 'inactive' } },
      },
    }),
  script: [{ type: 'TOGGLE' }, { type: 'TOGGLE' }, { type: 'TOGGLE' }, 2_000, { type: 'TOGGLE' }],
  states: ['inactive', 'active', 'inactive', 'active', 'inactive', 'inactive'],
})

perform({
  title: 'a state that is re-entered runs its exit and entry actions and its clock again, one that is only targeted does not',
  build: () =>
    setup({ types: { context: {} as { entered: number; left: number; assigned: number } } }).createMachine({
      id: 'reentry',
      context: { entered: 0, left: 0, assigned: 0 },
      initial: 'here',
      states: {
        here: {
          entry: assign({ entered: ({ context }) => context.entered + 1 }),
          exit: assign({ left: ({ context }) => context.left + 1 }),
          initial: 'one',
          states: { one: { on: { next: 'two' } }, two: {} },
          after: { 1000: 'gone' },
          on: {
            again: { target: 'here', reenter: true },
            inside: { target: '.one' },
            note: { actions: assign({ assigned: ({ context }) => context.assigned + 1 }) },
          },
        },
        gone: {},
      },
    }),
  script: [{ type: 'next' }, 600, { type: 'again' }, 600, { type: 'next' }, { type: 'inside' }, { type: 'note' }, 399, 1],
  states: [
    { here: 'one' },
    { here: 'two' },
    { here: 'two' },
    { here: 'one' },
    { here: 'one' },
    { here: 'two' },
    { here: 'one' },
    { here: 'one' },
    { here: 'one' },
    'gone',
  ],
})
