/** Actors: invoked and spawned machines that talk to their parent, their siblings and a receptionist. */
import { type AnyActorRef, assign, enqueueActions, forwardTo, sendParent, sendTo, setup, spawnChild, stopChild } from 'xstate'
import { perform } from './stage.ts'

const todo = setup({
  types: {
    context: {} as { title: string },
    input: {} as { title: string },
    events: {} as { type: 'EDIT'; title: string } | { type: 'DONE' } | { type: 'REOPEN' },
  },
}).createMachine({
  id: 'todo',
  context: ({ input }) => ({ title: input.title }),
  initial: 'open',
  states: {
    open: {
      on: { DONE: { target: 'completed', actions: sendParent(({ context }) => ({ type: 'todo.completed', title: context.title })) } },
    },
    completed: { on: { REOPEN: 'open' } },
  },
  on: { EDIT: { actions: assign({ title: ({ event }) => event.title }) } },
})

perform({
  title: 'a list of todos spawns an actor for each, keeps references to them, and removes them',
  build: () =>
    setup({
      types: {
        context: {} as { refs: AnyActorRef[]; completed: string[] },
        events: {} as
          | { type: 'ADD'; title: string }
          | { type: 'todo.completed'; title: string }
          | { type: 'FINISH' | 'REMOVE'; nth: number },
      },
      actors: { todo },
    }).createMachine({
      id: 'todos',
      context: { refs: [], completed: [] },
      on: {
        ADD: {
          actions: assign({
            refs: ({ context, event, spawn }) => [
              ...context.refs,
              spawn('todo', { id: `todo-${event.title}`, input: { title: event.title } }),
            ],
          }),
        },
        'todo.completed': { actions: assign({ completed: ({ context, event }) => [...context.completed, event.title] }) },
        FINISH: { actions: sendTo(({ context, event }) => context.refs[event.nth]!, { type: 'DONE' }) },
        REMOVE: {
          actions: [
            stopChild(({ context, event }) => context.refs[event.nth]!),
            assign({ refs: ({ context, event }) => context.refs.filter((_, nth) => nth !== event.nth) }),
          ],
        },
      },
    }),
  script: [
    { type: 'ADD', title: 'milk' },
    { type: 'ADD', title: 'bread' },
    { type: 'FINISH', nth: 1 },
    { type: 'REMOVE', nth: 0 },
    { type: 'ADD', title: 'salt' },
    { type: 'FINISH', nth: 1 },
  ],
  states: [{}, {}, {}, {}, {}, {}, {}],
})

const pong = setup({ types: { context: {} as { parried: number } } }).createMachine({
  id: 'pong',
  context: { parried: 0 },
  on: { PING: { actions: [assign({ parried: ({ context }) => context.parried + 1 }), sendParent({ type: 'PONG' }, { delay: 100 })] } },
})

perform({
  title: 'ping and pong play over the net, with a delay, until one of them has enough',
  build: () =>
    setup({ types: { context: {} as { rallies: number } }, actors: { pong } }).createMachine({
      id: 'ping',
      context: { rallies: 0 },
      initial: 'playing',
      states: {
        playing: {
          invoke: { src: 'pong', id: 'pong' },
          entry: sendTo('pong', { type: 'PING' }),
          on: {
            PONG: [
              { guard: ({ context }) => context.rallies >= 3, target: 'tired' },
              { actions: [assign({ rallies: ({ context }) => context.rallies + 1 }), sendTo('pong', { type: 'PING' }, { delay: 100 })] },
            ],
          },
        },
        tired: { type: 'final' },
      },
      output: ({ context }) => context.rallies,
    }),
  script: [99, 1, 100, 100, 250, 150],
  states: ['playing', 'playing', 'playing', 'playing', 'playing', 'playing', { output: 3 }],
})

const inner = setup({
  types: { input: {} as { n: number }, context: {} as { n: number }, output: {} as { square: number } },
}).createMachine({
  id: 'inner',
  context: ({ input }) => ({ n: input.n }),
  initial: 'thinking',
  states: { thinking: { on: { think: 'sure' }, after: { 1000: 'sure' } }, sure: { type: 'final' } },
  output: ({ context }) => ({ square: context.n ** 2 }),
})
const middle = setup({
  types: { context: {} as { n: number; square: number }, input: {} as { n: number } },
  actors: { inner },
}).createMachine({
  id: 'middle',
  context: ({ input }) => ({ n: input.n, square: 0 }),
  initial: 'delegating',
  states: {
    delegating: {
      invoke: {
        src: 'inner',
        id: 'inner',
        input: ({ context }) => ({ n: context.n }),
        onDone: { target: 'told', actions: assign({ square: ({ event }) => event.output.square }) },
      },
      on: { think: { actions: forwardTo('inner') } },
    },
    told: { type: 'final' },
  },
  output: ({ context }) => context.square,
})

perform({
  title: 'a machine that invokes a machine that invokes a machine: events are forwarded down, outputs come up',
  build: () =>
    setup({ types: { context: {} as { results: number[]; n: number } }, actors: { middle } }).createMachine({
      id: 'outer',
      context: { results: [], n: 2 },
      initial: 'working',
      states: {
        working: {
          invoke: {
            src: 'middle',
            id: 'middle',
            input: ({ context }) => ({ n: context.n }),
            onDone: {
              target: 'resting',
              actions: assign({
                results: ({ context, event }) => [...context.results, event.output as number],
                n: ({ context }) => context.n + 1,
              }),
            },
          },
          on: { think: { actions: forwardTo('middle') }, restart: { target: 'working', reenter: true } },
        },
        resting: { on: { more: 'working' } },
      },
    }),
  script: [{ type: 'think' }, { type: 'more' }, 999, { type: 'restart' }, 999, 1],
  states: ['working', 'resting', 'working', 'working', 'working', 'working', 'resting'],
})

const desk = setup({
  types: { context: {} as { visitors: string[] }, events: {} as { type: 'register'; name: string; from: AnyActorRef } },
}).createMachine({
  id: 'desk',
  context: { visitors: [] },
  on: {
    register: {
      actions: [
        assign({ visitors: ({ context, event }) => [...context.visitors, event.name] }),
        sendTo(
          ({ event }) => event.from,
          ({ context }) => ({ type: 'registered', nth: context.visitors.length }),
        ),
      ],
    },
  },
})
const guest = setup({
  types: {
    context: {} as { name: string; nth: number },
    input: {} as { name: string },
    events: {} as { type: 'registered'; nth: number } | { type: 'arrive' },
  },
}).createMachine({
  id: 'guest',
  context: ({ input }) => ({ name: input.name, nth: 0 }),
  initial: 'outside',
  states: {
    outside: {
      on: {
        arrive: {
          actions: sendTo(
            ({ system }) => system.get('receptionist') as AnyActorRef,
            ({ context, self }) => ({ type: 'register', name: context.name, from: self }),
          ),
        },
        registered: { target: 'inside', actions: assign({ nth: ({ event }) => event.nth }) },
      },
    },
    inside: {},
  },
})

perform({
  title: 'guests find the receptionist by a system id, send themselves along, and are answered',
  build: () =>
    setup({
      types: { context: {} as { guests: AnyActorRef[] }, events: {} as { type: 'arrive'; nth: number } },
      actors: { desk, guest },
    }).createMachine({
      id: 'hotel',
      context: ({ spawn }) => ({
        guests: [spawn('guest', { id: 'ada', input: { name: 'Ada' } }), spawn('guest', { id: 'bob', input: { name: 'Bob' } })],
      }),
      invoke: { src: 'desk', id: 'desk', systemId: 'receptionist' },
      on: { arrive: { actions: sendTo(({ context, event }) => context.guests[event.nth]!, { type: 'arrive' }) } },
    }),
  script: [
    { type: 'arrive', nth: 1 },
    { type: 'arrive', nth: 0 },
  ],
  states: [{}, {}, {}],
})

const counter = setup({ types: { context: {} as { count: number } } }).createMachine({
  id: 'counter',
  context: { count: 0 },
  on: { inc: { actions: assign({ count: ({ context }) => context.count + 1 }) } },
})

perform({
  title: 'a parent follows what its child shows, may leave it alone, stop it and start another under the same id',
  build: () =>
    setup({
      types: { context: {} as { seen: number[] }, events: {} as { type: 'inc' | 'start' | 'stop' | 'follow' } },
      actors: { counter },
    }).createMachine({
      id: 'follower',
      context: { seen: [] },
      initial: 'idle',
      on: {
        start: { actions: spawnChild('counter', { id: 'free' }) },
        stop: { actions: stopChild('free') },
        inc: {
          actions: enqueueActions(({ enqueue, self }) => {
            if (self.getSnapshot() !== undefined) enqueue.sendTo(({ system }) => system.get('counter') as AnyActorRef, { type: 'inc' })
          }),
        },
      },
      states: {
        idle: { on: { follow: 'following' } },
        following: {
          invoke: {
            src: 'counter',
            systemId: 'counter',
            onSnapshot: {
              actions: assign({
                seen: ({ context, event }) => [...context.seen, (event.snapshot as { context: { count: number } }).context.count],
              }),
            },
          },
        },
      },
    }),
  script: [{ type: 'start' }, { type: 'stop' }, { type: 'start' }, { type: 'follow' }, { type: 'inc' }, { type: 'inc' }, { type: 'stop' }],
  states: ['idle', 'idle', 'idle', 'idle', 'following', 'following', 'following', 'following'],
})
