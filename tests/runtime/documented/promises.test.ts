/** Promises: fetching with retry, an upload that is cancelled, and a credit check that asks several bureaus at once. */
import { assign, fromPromise, setup } from 'xstate'
import type { Json } from '../../../src/json.ts'
import { perform, type World } from './stage.ts'

const fetching = (world: World) =>
  fromPromise(async ({ input, emit }: { input: { user: string }; emit: (event: { type: 'asked' }) => void }) => {
    emit({ type: 'asked' })
    const name = await world.pending('user')
    return { name, user: input.user }
  })

perform({
  title: 'a fetch is tried again after a pause, and gives up after three attempts',
  build: (world) =>
    setup({
      types: { context: {} as { attempts: number; user: Json; error: string }, events: {} as { type: 'FETCH' } },
      actors: { fetchUser: fetching(world) },
      guards: { mayRetry: ({ context }) => context.attempts < 3 },
    }).createMachine({
      id: 'fetch',
      context: { attempts: 0, user: null, error: '' },
      initial: 'idle',
      states: {
        idle: { on: { FETCH: 'loading' } },
        loading: {
          entry: assign({ attempts: ({ context }) => context.attempts + 1 }),
          invoke: {
            src: 'fetchUser',
            input: ({ context }) => ({ user: `u${context.attempts}` }),
            onDone: { target: 'success', actions: assign({ user: ({ event }) => event.output }) },
            onError: { target: 'failure', actions: assign({ error: ({ event }) => (event.error as Error).message }) },
          },
        },
        failure: {
          always: { guard: ({ context }) => context.attempts >= 3, target: 'givenUp' },
          after: { 1000: { guard: 'mayRetry', target: 'loading' } },
        },
        success: {},
        givenUp: { on: { FETCH: { target: 'loading', actions: assign({ attempts: 0 }) } } },
      },
    }),
  script: [
    { type: 'FETCH' },
    { settle: 'user', fails: 'offline' },
    1_000,
    { settle: 'user', fails: 'still offline' },
    1_000,
    { settle: 'user', fails: 'off for good' },
    { type: 'FETCH' },
    { settle: 'user', value: 'Ada' },
  ],
  states: ['idle', 'loading', 'failure', 'loading', 'failure', 'loading', 'givenUp', 'loading', 'success'],
})

perform({
  title: 'an upload reports when it is done, and what comes of a cancelled one is not heard',
  build: (world) =>
    setup({
      types: { context: {} as { files: string[] }, events: {} as { type: 'UPLOAD'; file: string } | { type: 'CANCEL' } },
      actors: { upload: fromPromise(({ input }: { input: { file: string } }) => world.pending(input.file)) },
    }).createMachine({
      id: 'upload',
      context: { files: [] },
      initial: 'ready',
      states: {
        ready: { on: { UPLOAD: 'uploading' } },
        uploading: {
          invoke: {
            src: 'upload',
            id: 'uploader',
            input: ({ event }) => ({ file: event.type === 'UPLOAD' ? event.file : '' }),
            onDone: { target: 'ready', actions: assign({ files: ({ context, event }) => [...context.files, String(event.output)] }) },
          },
          on: { CANCEL: 'ready' },
          after: { 5000: 'ready' },
        },
      },
    }),
  script: [
    { type: 'UPLOAD', file: 'one' },
    { type: 'CANCEL' },
    { type: 'UPLOAD', file: 'two' },
    { settle: 'two', value: 'two.png' },
    { type: 'UPLOAD', file: 'three' },
    4_999,
    1,
  ],
  states: ['ready', 'uploading', 'ready', 'uploading', 'ready', 'uploading', 'uploading', 'ready'],
})

perform({
  title: 'a credit check asks three bureaus at once and decides when all have answered',
  input: { person: 'Ada' },
  build: (world) => {
    const bureaus = setup({
      types: {
        context: {} as { person: string; scores: Record<string, number> },
        input: {} as { person: string },
        output: {} as { person: string; scores: Record<string, number> },
      },
      actors: { ask: fromPromise(({ input }: { input: { bureau: string; person: string } }) => world.pending(input.bureau)) },
      guards: { isGood: ({ context }) => Object.values(context.scores).filter((score) => score > 700).length >= 2 },
    })
    const bureau = (name: string) =>
      bureaus.createStateConfig({
        initial: 'asking',
        states: {
          asking: {
            invoke: {
              src: 'ask',
              input: ({ context }) => ({ bureau: name, person: context.person }),
              onDone: {
                target: 'answered',
                actions: assign({ scores: ({ context, event }) => ({ ...context.scores, [name]: event.output as number }) }),
              },
              onError: 'unknown',
            },
          },
          answered: { type: 'final' },
          unknown: { type: 'final' },
        },
      })
    return bureaus.createMachine({
      id: 'creditCheck',
      context: ({ input }) => ({ person: input.person, scores: {} }),
      initial: 'checking',
      states: {
        checking: {
          type: 'parallel',
          states: { gavUnion: bureau('gavUnion'), equiGavin: bureau('equiGavin'), gavperian: bureau('gavperian') },
          onDone: 'deciding',
        },
        deciding: { always: [{ guard: 'isGood', target: 'approved' }, { target: 'declined' }] },
        approved: { type: 'final' },
        declined: { type: 'final' },
      },
      output: ({ context }) => context,
    })
  },
  script: [
    { settle: 'equiGavin', value: 710 },
    { settle: 'gavperian', fails: 'closed' },
    { settle: 'gavUnion', value: 800 },
  ],
  states: [
    { checking: { gavUnion: 'asking', equiGavin: 'asking', gavperian: 'asking' } },
    { checking: { gavUnion: 'asking', equiGavin: 'answered', gavperian: 'asking' } },
    { checking: { gavUnion: 'asking', equiGavin: 'answered', gavperian: 'unknown' } },
    { output: { person: 'Ada', scores: { equiGavin: 710, gavUnion: 800 } } },
  ],
})

perform({
  title: 'promises are spawned by name, in any number, and their results told by their ids',
  build: (world) =>
    setup({
      types: { context: {} as { results: string[] }, events: {} as { type: 'START'; id: string } | { type: 'done'; output: string } },
      actors: { job: fromPromise(({ input }: { input: { id: string } }) => world.pending(input.id)) },
    }).createMachine({
      id: 'spawner',
      context: { results: [] },
      on: {
        START: {
          actions: assign(({ spawn, event }) => {
            const { id } = event as unknown as { id: string }
            spawn('job', { id, input: { id } })
            return {}
          }),
        },
        // Ids are made as the program runs, so that no type can list their events.
        'xstate.done.actor.*': {
          actions: assign({
            results: ({ context, event }) => [
              ...(context as { results: string[] }).results,
              `${event.type}: ${(event as unknown as { output: string }).output}`,
            ],
          }),
        },
      } as never,
    }),
  script: [
    { type: 'START', id: 'a' },
    { type: 'START', id: 'b' },
    { settle: 'b', value: 'B' },
    { settle: 'a', value: 'A' },
  ],
  states: [{}, {}, {}, {}, {}],
})
