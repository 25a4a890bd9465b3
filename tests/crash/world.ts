/**
 * A tree with everything that a crash could lose: three levels, events from outside, mail in all directions, `after` timers, delayed sends, spawned and
 * invoked children, asks, a restart from the checkpoint, named actions, and effects of two policies and a real command.
 *
 *   /world            supervisor
 *     /world/hub      counts ticks, spawns two relays, asks the clerk, ends when everything it caused has come back
 *       /relay-a, /relay-b      answer after a timer
 *     /world/office   supervisor
 *       /clerk        files papers (prove), weighs them (repeat), runs a command (repeat), crashes once on a poison event
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AnyActorRef, assign, enqueueActions, sendTo, setup, spawnChild } from 'xstate'
import { z } from 'zod'
import { runCommand } from '../../src/actors/sandboxes/none.ts'
import { createTroupe, type Troupe } from '../../src/actors/troupe.ts'
import { effect } from '../../src/effect.ts'
import type { TreeSpec } from '../../src/protocol.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import type { Store } from '../../src/runtime/store.ts'
import type { Ledger } from './ledger.ts'

const TICKS = 12

const paper = z.object({ n: z.number() })
type Paper = z.infer<typeof paper>
const filePaper = effect({ kind: 'paper.file', input: paper, output: paper, repeat: 'prove' })
const weighPaper = effect({ kind: 'paper.weigh', input: paper, output: z.object({ n: z.number(), grams: z.number() }), repeat: 'repeat' })
const shredPaper = effect({
  kind: 'paper.shred',
  input: paper,
  output: z.object({ code: z.number() }),
  repeat: 'repeat',
  timeoutMs: 20_000,
})

const relay = setup({
  types: { context: {} as { home: string; waiting: number[] }, events: {} as { type: 'relay'; n: number } },
}).createMachine({
  id: 'relay',
  context: { home: '', waiting: [] },
  initial: 'idle',
  states: {
    idle: { on: { relay: { target: 'holding', actions: assign({ waiting: ({ context, event }) => [...context.waiting, event.n] }) } } },
    holding: {
      on: { relay: { actions: assign({ waiting: ({ context, event }) => [...context.waiting, event.n] }) } },
      after: {
        3: {
          target: 'idle',
          actions: [
            sendTo(
              ({ self }) => self._parent as AnyActorRef,
              ({ context }) => ({ type: 'relayed', n: context.waiting }),
            ),
            assign({ waiting: [] }),
          ],
        },
      },
    },
  },
})

const clerk = setup({
  types: {
    context: {} as { queue: { n: number; to: AnyActorRef }[]; n: number; poisoned: number },
    events: {} as { type: 'file'; n: number; replyTo: AnyActorRef } | { type: 'poison' },
  },
  actors: { filePaper, weighPaper, shredPaper },
}).createMachine({
  id: 'clerk',
  context: { queue: [], n: 0, poisoned: 0 },
  on: {
    file: { actions: assign({ queue: ({ context, event }) => [...context.queue, { n: event.n, to: event.replyTo }] }) },
    poison: {
      actions: assign(() => {
        throw new Error('poison')
      }),
    },
  },
  initial: 'idle',
  states: {
    idle: {
      always: {
        guard: ({ context }) => context.queue.length > 0,
        target: 'weighing',
        actions: assign({ n: ({ context }) => context.queue[0]!.n }),
      },
    },
    weighing: { invoke: { src: 'weighPaper', input: ({ context }) => ({ n: context.n }), onDone: 'filing' } },
    filing: {
      invoke: {
        src: 'filePaper',
        input: ({ context }) => ({ n: context.n }),
        onDone: [{ guard: ({ context }) => context.n % 8 === 0, target: 'shredding' }, 'answering'],
      },
    },
    shredding: { invoke: { src: 'shredPaper', input: ({ context }) => ({ n: context.n }), onDone: 'answering' } },
    answering: {
      entry: [
        sendTo(
          ({ context }) => context.queue[0]!.to,
          ({ context }) => ({ type: 'filed', n: context.n }),
        ),
        assign({ queue: ({ context }) => context.queue.slice(1) }),
      ],
      always: 'idle',
    },
  },
})

interface HubContext {
  readonly seen: readonly number[]
  readonly relayed: readonly number[]
  readonly filed: readonly number[]
  readonly late: readonly number[]
  readonly down: number
}

const hub = setup({
  types: {
    context: {} as HubContext,
    events: {} as
      | { type: 'tick'; n: number }
      | { type: 'relayed'; n: number[] }
      | { type: 'late'; n: number }
      | { type: 'seen'; replyTo: AnyActorRef }
      | { type: 'ask.answered'; id: string; answer: { n: number } }
      | { type: 'ask.down' | 'ask.timed_out'; id: string },
  },
  actors: { relay },
  actions: {
    ask: (_, _params: { id: string; to: string; event: { type: string; n: number }; timeoutMs: number }) => {},
    note: (_, _params: { n: number }) => {},
  },
  guards: {
    complete: ({ context }) =>
      context.seen.length === TICKS &&
      context.relayed.length === TICKS &&
      context.filed.length === TICKS / 2 &&
      context.late.length === TICKS / 3,
  },
}).createMachine({
  id: 'hub',
  context: { seen: [], relayed: [], filed: [], late: [], down: 0 },
  entry: [spawnChild('relay', { id: 'relay-a' }), spawnChild('relay', { id: 'relay-b' })],
  initial: 'working',
  states: { working: { always: { guard: 'complete', target: 'complete' } }, complete: { type: 'final' } },
  on: {
    tick: {
      actions: enqueueActions(({ enqueue, event: { n } }) => {
        enqueue.assign({ seen: ({ context }) => [...context.seen, n] })
        enqueue.sendTo((n % 2 === 0 ? 'relay-a' : 'relay-b') as never, { type: 'relay', n } as never)
        enqueue({ type: 'note', params: { n } })
        if (n % 2 === 0)
          enqueue({ type: 'ask', params: { id: `file-${n}`, to: '/world/office/clerk', event: { type: 'file', n }, timeoutMs: 60_000 } })
        if (n % 3 === 0) enqueue.sendTo(({ self }) => self, { type: 'late', n }, { delay: 7, id: `late-${n}` })
      }),
    },
    relayed: { actions: assign({ relayed: ({ context, event }) => [...context.relayed, ...event.n] }) },
    late: { actions: assign({ late: ({ context, event }) => [...context.late, event.n] }) },
    seen: {
      actions: sendTo(
        ({ event }) => event.replyTo,
        ({ context }) => ({ type: 'seen', seen: context.seen }),
      ),
    },
    'ask.answered': { actions: assign({ filed: ({ context, event }) => [...context.filed, event.answer.n] }) },
    'ask.down': { actions: assign({ down: ({ context }) => context.down + 1 }) },
    'ask.timed_out': { actions: assign({ down: ({ context }) => context.down + 1 }) },
  },
  output: ({ context }) => ({
    seen: context.seen,
    relayed: sorted(context.relayed),
    filed: sorted(context.filed),
    late: sorted(context.late),
    down: context.down,
  }),
})
const sorted = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b)
const each = (step: number): number[] => Array.from({ length: TICKS / step }, (_, index) => step * (index + 1))

/** What the run ends with, however often it was killed. */
export const EXPECTED = { seen: each(1), relayed: each(1), filed: each(2), late: each(3), down: 0 }

export const tree: TreeSpec = {
  id: 'world',
  intensity: 5,
  periodMs: 600_000,
  autoShutdown: 'any_significant',
  children: [
    { id: 'office', intensity: 5, periodMs: 600_000, children: [{ id: 'clerk', src: 'clerk', from: 'checkpoint' }] },
    { id: 'hub', src: 'hub', restart: 'transient', significant: true, from: 'checkpoint' },
  ],
}

type Reap = NonNullable<Parameters<typeof createTroupe>[0]['reap']>

export interface WorldOptions {
  readonly store: Store
  /** Where papers and the ledger are kept. */
  readonly folder: string
  readonly ledger: Ledger
  readonly turnStepsMax?: number
  readonly reap?: Reap | undefined
  readonly shredSeconds?: number
}

export function makeTroupe({ store, folder, ledger, turnStepsMax = 256, reap, shredSeconds = 0.1 }: WorldOptions): Troupe {
  const fileOf = (key: string): string => join(folder, `${key.replace('/', '-')}.paper`)
  return createTroupe({
    store,
    limits: { turnStepsMax },
    ...(reap === undefined ? {} : { reap }),
    machines: { hub, clerk },
    effects: {
      weighPaper: ledger.witness<Paper, Paper & { grams: number }>({ perform: ({ input }) => ({ n: input.n, grams: 5 * input.n }) }),
      filePaper: ledger.witness<Paper, Paper>({
        perform: ({ input, key }) => {
          writeFileSync(fileOf(key), String(input.n), { flag: 'wx' }) // Fails where it was filed already.
          return input
        },
        prove: ({ input, key }) => (existsSync(fileOf(key)) ? { verdict: 'applied', output: input } : { verdict: 'not_applied' }),
      }),
      shredPaper: ledger.witness<Paper, { code: number }>({
        perform: async ({ run, id, signal }) => ({
          code: (await runCommand({ command: `sleep ${shredSeconds}`, cwd: folder, run, effect: id, signal })).exitCode ?? -1,
        }),
      }),
    },
  })
}

/** Sends the ticks that the hub has not seen. Whatever was acknowledged before a crash must be among those it has. */
export async function drive(session: RunSession, acknowledged: ReadonlySet<number>, onAcknowledged: (n: number) => void): Promise<void> {
  const { seen } = (await session.ask('/world/hub', { type: 'seen' })) as unknown as { seen: readonly number[] }
  const missing = [...acknowledged].filter((n) => !seen.includes(n))
  if (missing.length > 0) throw new Error(`acknowledged and lost: ${missing.join(', ')}`)
  for (let n = 1; n <= TICKS; n++) {
    if (seen.includes(n)) continue
    await session.send('/world/hub', { type: 'tick', n })
    onAcknowledged(n)
    if (n === 5) await session.send('/world/office/clerk', { type: 'poison' })
  }
}
