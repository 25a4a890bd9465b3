/**
 * Workers that do on command what actors do, good and bad: count, crash, finish, wait for effects that end, fail or hang, spawn children, ask one another, set and
 * cancel timers, and take a stop at once, slowly or not at all.
 */
import { type AnyActorRef, assign, cancel, raise, sendParent, sendTo, setup } from 'xstate'
import { z } from 'zod'
import { effect } from '../../src/effect.ts'

const paper = z.object({ n: z.number() })
const RETRY = { maxAttempts: 3, baseDelayMs: 100, maxDelayMs: 1_000, exponentialBase: 2 }
const job = effect({ kind: 'job.do', input: paper, output: paper, repeat: 'repeat', timeoutMs: 5_000, retry: RETRY })
const write = effect({ kind: 'paper.write', input: paper, output: paper, repeat: 'prove', retry: RETRY })
const hang = effect({ kind: 'job.hang', input: paper, output: paper, repeat: 'repeat', timeoutMs: 2_000 })

const helper = setup({ types: { events: {} as { type: 'poke' } | { type: 'break' } } }).createMachine({
  id: 'helper',
  on: {
    poke: { actions: sendParent({ type: 'poked' }) },
    break: {
      actions: assign(() => {
        throw new Error('a helper breaks')
      }),
    },
  },
  initial: 'busy',
  states: { busy: { after: { 700: 'done' } }, done: { type: 'final' } },
})

/** How it takes `shutdown`. */
type Manner = 'plain' | 'slow' | 'deaf'

interface Context {
  readonly manner: Manner
  readonly n: number
  readonly kids: readonly string[]
}

export type Command =
  | { readonly type: 'count' | 'crash' | 'finish' | 'work' | 'write' | 'hang' | 'rest' | 'cancel' | 'spawn' | 'poke' | 'break' | 'decline' }
  | { readonly type: 'later'; readonly ms: number }
  | { readonly type: 'ask'; readonly to: string }

type Inbox =
  | Command
  | { readonly type: 'poked' | 'shutdown' }
  | { readonly type: 'question'; readonly replyTo: AnyActorRef }
  | { readonly type: 'ask.answered' | 'ask.down' | 'ask.timed_out' }

const base = setup({
  types: { context: {} as Context, events: {} as Inbox, input: {} as { manner?: Manner } | undefined },
  actors: { job, write, hang, helper },
  actions: { ask: (_, _params: { id: string; to: string; event: { type: string }; timeoutMs: number }) => {} },
})

const more = base.assign({ n: ({ context }) => context.n + 1 })
const counted = more as never

/** At most three helpers at once, under names that are never used again. */
const spawn = base.enqueueActions(({ context, enqueue }) => {
  if (context.kids.length >= 3) return
  const id = `h${context.n}`
  enqueue.spawnChild('helper', { id })
  enqueue.assign({ kids: [...context.kids, id], n: context.n + 1 })
})
const toKid = (type: 'poke' | 'break') =>
  base.enqueueActions(({ context, enqueue }) => {
    const [first] = context.kids
    if (first !== undefined) enqueue.sendTo(first as never, { type } as never)
  })
const kidEnded = base.assign(({ context, event }) => {
  const id = (event as { type: string }).type.replace(/^xstate\.(?:done|error)\.actor\./, '')
  return { kids: context.kids.filter((kid) => kid !== id) }
})
const input = ({ context }: { context: Context }) => ({ n: context.n })

/** The machine behind all workers of the random trees. */
export const worker = base.createMachine({
  id: 'worker',
  context: ({ input: given }) => ({ manner: given?.manner ?? 'plain', n: 0, kids: [] }),
  initial: 'open',
  on: {
    shutdown: [
      { guard: ({ context }) => context.manner === 'slow', target: '.closing' },
      { guard: ({ context }) => context.manner === 'deaf', actions: more },
      { target: '.done' },
    ],
  },
  states: {
    open: {
      on: {
        count: { actions: more },
        poked: { actions: more },
        crash: {
          actions: assign(() => {
            throw new Error('told to crash')
          }),
        },
        finish: 'done',
        later: { actions: raise({ type: 'count' }, { id: 'later', delay: ({ event }) => event.ms }) },
        cancel: { actions: cancel('later') },
        ask: {
          actions: {
            type: 'ask',
            params: ({ context, event }) => ({ id: `q${context.n}`, to: event.to, event: { type: 'question' }, timeoutMs: 1_500 }),
          },
        },
        question: { actions: [more, sendTo(({ event }) => event.replyTo, { type: 'answer' })] },
        'ask.*': { actions: more },
        spawn: { actions: spawn },
        poke: { actions: toKid('poke') },
        break: { actions: toKid('break') },
        ...({ 'xstate.done.actor.*': { actions: kidEnded }, 'xstate.error.actor.*': { actions: kidEnded } } as object),
      },
      initial: 'idle',
      states: {
        idle: { on: { work: 'working', write: 'writing', hang: 'hanging', rest: 'resting' } },
        working: { invoke: { src: 'job', input, onDone: { target: 'idle', actions: counted }, onError: 'idle' } },
        writing: { invoke: { src: 'write', input, onDone: { target: 'idle', actions: counted }, onError: 'idle' } },
        hanging: { invoke: { src: 'hang', input, onDone: 'idle', onError: 'idle' }, on: { work: 'working' } },
        resting: { after: { 400: 'idle' } },
      },
    },
    closing: { after: { 300: 'done' } },
    done: { type: 'final' },
  },
  output: ({ context }) => context.n,
})

/** What the world does for workers: jobs end at once, papers are written once for each key, and some hang until they are aborted. */
export function handlers() {
  const written = new Set<string>()
  return {
    job: { perform: ({ input: { n } }: { input: { n: number } }) => ({ n }) },
    write: {
      perform: ({ input: { n }, key }: { input: { n: number }; key: string }) => {
        written.add(key)
        return { n }
      },
      prove: ({ input: { n }, key }: { input: { n: number }; key: string }) =>
        written.has(key) ? ({ verdict: 'applied', output: { n } } as const) : ({ verdict: 'not_applied' } as const),
    },
    hang: {
      perform: ({ signal }: { signal: AbortSignal }) =>
        new Promise<{ n: number }>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    },
  }
}
