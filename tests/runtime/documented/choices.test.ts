/** Choices: guards and their combinations, actions that are chosen in passing, wildcards and forbidden events, logs and emitted events. */
import { and, assign, emit, enqueueActions, log, not, or, raise, setup, stateIn } from 'xstate'
import { perform } from './stage.ts'

perform({
  title: 'a door opens by a combination of guards, also by the state of another region',
  build: () =>
    setup({
      types: {
        context: {} as { key: boolean; code: number },
        events: {} as { type: 'OPEN' } | { type: 'KEY' } | { type: 'CODE'; code: number } | { type: 'ALARM' } | { type: 'CALM' },
      },
      guards: {
        hasKey: ({ context }) => context.key,
        knowsCode: ({ context }, params: { code: number }) => context.code === params.code,
        isCalm: not(stateIn({ alarm: 'ringing' })),
        mayEnter: and(['isCalm', or(['hasKey', { type: 'knowsCode', params: { code: 42 } }])]),
      },
    }).createMachine({
      id: 'door',
      context: { key: false, code: 0 },
      type: 'parallel',
      states: {
        leaf: {
          initial: 'shut',
          states: {
            shut: { on: { OPEN: [{ guard: 'mayEnter', target: 'open' }, { target: 'knocking' }] } },
            knocking: { after: { 100: 'shut' } },
            open: {},
          },
        },
        alarm: { initial: 'quiet', states: { quiet: { on: { ALARM: 'ringing' } }, ringing: { on: { CALM: 'quiet' } } } },
      },
      on: { KEY: { actions: assign({ key: true }) }, CODE: { actions: assign({ code: ({ event }) => event.code }) } },
    }),
  script: [{ type: 'OPEN' }, 100, { type: 'CODE', code: 42 }, { type: 'ALARM' }, { type: 'OPEN' }, { type: 'CALM' }, 100, { type: 'OPEN' }],
  states: [
    { leaf: 'shut', alarm: 'quiet' },
    { leaf: 'knocking', alarm: 'quiet' },
    { leaf: 'shut', alarm: 'quiet' },
    { leaf: 'shut', alarm: 'quiet' },
    { leaf: 'shut', alarm: 'ringing' },
    { leaf: 'knocking', alarm: 'ringing' },
    { leaf: 'knocking', alarm: 'quiet' },
    { leaf: 'shut', alarm: 'quiet' },
    { leaf: 'open', alarm: 'quiet' },
  ],
})

perform({
  title: 'a cart decides in one list of actions what to do, checks guards in it, and tells who listens',
  build: () =>
    setup({
      types: {
        context: {} as { items: number; gifts: number },
        events: {} as { type: 'add'; n: number } | { type: 'gift' },
        emitted: {} as { type: 'cart.changed'; items: number } | { type: 'cart.large' },
      },
      guards: { isLarge: ({ context }) => context.items >= 3 },
      actions: { count: assign({ items: ({ context }, params: { n: number }) => context.items + params.n }) },
    }).createMachine({
      id: 'cart',
      context: { items: 0, gifts: 0 },
      initial: 'shopping',
      states: {
        shopping: {
          on: {
            add: {
              actions: enqueueActions(({ enqueue, check, event }) => {
                enqueue({ type: 'count', params: { n: event.n } })
                enqueue.emit(({ context }) => ({ type: 'cart.changed', items: context.items }))
                if (check('isLarge')) enqueue.raise({ type: 'gift' })
                enqueue(({ context }) => void context)
              }),
            },
            gift: { actions: [assign({ gifts: ({ context }) => context.gifts + 1 }), emit({ type: 'cart.large' }), log('a gift', 'cart')] },
          },
        },
      },
    }),
  script: [{ type: 'add', n: 1 }, { type: 'add', n: 1 }, { type: 'add', n: 1 }, { type: 'gift' }],
  states: ['shopping', 'shopping', 'shopping', 'shopping', 'shopping'],
})

perform({
  title: 'wildcards take what nobody else takes, and a forbidden event reaches no state above',
  build: () =>
    setup({ types: { context: {} as { seen: string[] } } }).createMachine({
      id: 'wild',
      context: { seen: [] },
      initial: 'open',
      states: {
        open: {
          on: {
            'mouse.click.left': 'clicked',
            'mouse.*': { actions: assign({ seen: ({ context, event }) => [...context.seen, `mouse: ${event.type}`] }) },
            LOG: {},
            '*': { actions: assign({ seen: ({ context, event }) => [...context.seen, `any: ${event.type}`] }) },
          },
        },
        clicked: { on: { back: 'open' } },
      },
      on: { LOG: { actions: assign({ seen: ({ context }) => [...context.seen, 'logged'] }) } },
    }),
  script: [
    { type: 'mouse.move' },
    { type: 'mouse.click.right' },
    { type: 'LOG' },
    { type: 'other' },
    { type: 'mouse.click.left' },
    { type: 'LOG' },
    { type: 'back' },
  ],
  states: ['open', 'open', 'open', 'open', 'open', 'clicked', 'clicked', 'open'],
})

perform({
  title: 'raised events are taken before anything from outside, in the order in which they were raised',
  build: () =>
    setup({
      types: { context: {} as { trace: string[] } },
      actions: { trace: assign({ trace: ({ context }, params: string) => [...(context as { trace: string[] }).trace, params] }) } as never,
    }).createMachine({
      id: 'raises',
      context: { trace: [] },
      initial: 'a',
      states: {
        a: {
          exit: { type: 'trace', params: 'exit a' },
          on: { go: { target: 'b', actions: [raise({ type: 'first' }), raise({ type: 'second' })] } },
        },
        b: {
          entry: [{ type: 'trace', params: 'entry b' }, raise({ type: 'third' })],
          on: {
            first: { actions: { type: 'trace', params: 'first' } },
            second: { actions: { type: 'trace', params: 'second' } },
            third: { target: 'c', actions: { type: 'trace', params: 'third' } },
          },
        },
        c: { entry: { type: 'trace', params: 'entry c' }, on: { back: 'a' } },
      },
    } as never),
  script: [{ type: 'go' }, { type: 'back' }, { type: 'go' }],
  states: ['a', 'c', 'a', 'c'],
})
