/** Callbacks, observables and reducers: clocks that tick from outside, receivers, streams of values and of events, and counting without states. */
import {
  type AnyActorRef,
  assign,
  forwardTo,
  fromCallback,
  fromEventObservable,
  fromObservable,
  fromTransition,
  type Subscribable,
  sendTo,
  setup,
} from 'xstate'
import { perform, type World } from './stage.ts'

const ticking = (world: World) =>
  fromCallback<{ type: 'faster' }, { ms: number }>(({ sendBack, receive, input }) => {
    let stop = world.every(input.ms, () => sendBack({ type: 'TICK' }))
    receive((event) => {
      if (event.type !== 'faster') return
      stop()
      stop = world.every(input.ms / 2, () => sendBack({ type: 'TICK' }))
    })
    return () => stop()
  })

perform({
  title: 'a stopwatch runs on a callback that ticks while it is wanted',
  build: (world) =>
    setup({ types: { context: {} as { elapsed: number } }, actors: { ticks: ticking(world) } }).createMachine({
      id: 'stopwatch',
      context: { elapsed: 0 },
      initial: 'stopped',
      states: {
        stopped: { on: { START: 'running', RESET: { actions: assign({ elapsed: 0 }) } } },
        running: {
          invoke: { src: 'ticks', input: { ms: 100 } },
          on: { TICK: { actions: assign({ elapsed: ({ context }) => context.elapsed + 1 }) }, STOP: 'stopped' },
        },
      },
    }),
  script: [{ type: 'START' }, 100, 200, { type: 'STOP' }, 500, { type: 'START' }, 100, { type: 'RESET' }, 100],
  states: ['stopped', 'running', 'running', 'running', 'stopped', 'stopped', 'running', 'running', 'running', 'running'],
})

perform({
  title: 'a callback answers what is forwarded to it',
  build: () =>
    setup({
      types: { context: {} as { heard: string[] }, events: {} as { type: 'say'; word: string } | { type: 'echo'; word: string } },
      actors: {
        echo: fromCallback<{ type: 'say'; word: string }>(({ sendBack, receive }) =>
          receive(({ word }) => sendBack({ type: 'echo', word: word.toUpperCase() })),
        ),
      },
    }).createMachine({
      id: 'echo',
      context: { heard: [] },
      invoke: { src: 'echo', id: 'echo', systemId: 'echo' },
      on: {
        say: { actions: [forwardTo('echo'), sendTo(({ system }) => system.get('echo') as AnyActorRef, { type: 'say', word: 'again' })] },
        echo: { actions: assign({ heard: ({ context, event }) => [...context.heard, event.word] }) },
      },
    }),
  script: [
    { type: 'say', word: 'one' },
    { type: 'say', word: 'two' },
  ],
  states: [{}, {}, {}],
})

/** As `interval(ms).pipe(take(count))` of RxJS. */
const interval = (world: World, ms: number, make: (nth: number) => unknown, count = Number.POSITIVE_INFINITY): Subscribable<never> => ({
  subscribe: ((observer: { next(value: unknown): void; complete(): void }) => {
    let nth = 0
    const stop = world.every(ms, () => {
      observer.next(make(nth++))
      if (nth < count) return
      stop()
      observer.complete()
    })
    return { unsubscribe: stop }
  }) as never,
})

perform({
  title: 'values of an observable arrive as snapshots, and its end as done',
  build: (world) =>
    setup({
      types: { context: {} as { values: number } },
      actors: { values: fromObservable(({ input }: { input: { ms: number } }) => interval(world, input.ms, (nth) => nth, 1)) },
    }).createMachine({
      id: 'observing',
      context: { values: 0 },
      initial: 'on',
      states: {
        on: {
          invoke: {
            src: 'values',
            input: { ms: 100 },
            onSnapshot: {
              actions: assign({ values: ({ context, event }) => context.values + (event.snapshot.context === undefined ? 0 : 1) }),
            },
            onDone: 'over',
          },
        },
        over: { on: { again: 'on' } },
      },
    }),
  script: [50, 100, { type: 'again' }, 100],
  states: ['on', 'on', 'over', 'on', 'over'],
})

perform({
  title: 'events of an event observable go to its parent as they are',
  build: (world) =>
    setup({
      types: { context: {} as { moves: number }, events: {} as { type: 'mouse'; x: number } | { type: 'leave' | 'enter' } },
      actors: { mouse: fromEventObservable(() => interval(world, 10, () => ({ type: 'mouse', x: 1 }))) },
    }).createMachine({
      id: 'mouse',
      context: { moves: 0 },
      initial: 'inside',
      states: {
        inside: {
          invoke: { src: 'mouse' },
          on: { mouse: { actions: assign({ moves: ({ context, event }) => context.moves + event.x }) }, leave: 'outside' },
        },
        outside: { on: { enter: 'inside' } },
      },
    }),
  script: [10, 10, { type: 'leave' }, 50, { type: 'enter' }, 20],
  states: ['inside', 'inside', 'inside', 'outside', 'outside', 'inside', 'inside'],
})

const count = fromTransition(
  (
    state: { count: number; step: number },
    event: { type: 'inc' | 'dec' },
    { emit }: { emit: (event: { type: 'changed'; count: number }) => void },
  ) => {
    const next = state.count + (event.type === 'inc' ? state.step : -state.step)
    emit({ type: 'changed', count: next })
    return { ...state, count: next }
  },
  ({ input }: { input: { step: number } }) => ({ count: 0, step: input.step }),
)

perform({
  title: 'a reducer counts beside a machine, is found by its system id, and shows each of its states',
  build: () =>
    setup({
      types: { context: {} as { ref: AnyActorRef; shown: number[] }, events: {} as { type: 'inc' | 'dec' | 'both' } },
      actors: { count },
    }).createMachine({
      id: 'reducing',
      context: ({ spawn }) => ({
        ref: spawn('count', { id: 'spawned', systemId: 'count', input: { step: 10 } }) as AnyActorRef,
        shown: [],
      }),
      invoke: {
        src: 'count',
        id: 'invoked',
        input: { step: 1 },
        onSnapshot: { actions: assign({ shown: ({ context, event }) => [...context.shown, event.snapshot.context.count] }) },
      },
      on: {
        inc: { actions: sendTo('invoked', { type: 'inc' }) },
        dec: { actions: sendTo(({ context }) => context.ref, { type: 'dec' }) },
        both: { actions: [forwardTo('invoked'), sendTo(({ system }) => system.get('count') as AnyActorRef, { type: 'inc' })] },
      },
    }),
  script: [{ type: 'inc' }, { type: 'dec' }, { type: 'inc' }],
  states: [{}, {}, {}, {}],
})
