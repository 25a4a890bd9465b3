/**
 * A process that wants a run: `rival.child.ts STORE [freeze]`. It obeys lines of standard input and answers each with one JSON object:
 *   start            starts the porter
 *   resume, take     goes on with the only run of the store, or takes it over
 *   carry N          an event for the porter, who carries it by an effect that writes `PID N` to `carried` beside the store
 *   stop             lets go of the run
 *   done             how the run ended in this process
 * With `freeze` it stops itself (SIGSTOP) between the commit that starts an effect and the effect.
 */
import { appendFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { assign, setup } from 'xstate'
import { z } from 'zod'
import { createTroupe } from '../../../src/actors/troupe.ts'
import { effect } from '../../../src/effect.ts'
import type { RunSession } from '../../../src/runtime/engine.ts'
import type { Store } from '../../../src/runtime/store.ts'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'

const [path = '', freeze = ''] = process.argv.slice(2)
const load = z.object({ n: z.number() })
const carry = effect({ kind: 'load.carry', input: load, output: load, repeat: 'repeat' })
const porter = setup({
  types: { context: {} as { waiting: number[]; carried: number[] }, events: {} as { type: 'carry'; n: number } },
  actors: { carry },
}).createMachine({
  id: 'porter',
  context: { waiting: [], carried: [] },
  on: { carry: { actions: assign({ waiting: ({ context, event }) => [...context.waiting, event.n] }) } },
  initial: 'idle',
  states: {
    idle: {
      always: [
        { guard: ({ context }) => context.carried.length === 3, target: 'home' },
        { guard: ({ context }) => context.waiting.length > 0, target: 'carrying' },
      ],
    },
    carrying: {
      invoke: {
        src: 'carry',
        input: ({ context }) => ({ n: context.waiting[0]! }),
        onDone: {
          target: 'idle',
          actions: assign({
            waiting: ({ context }) => context.waiting.slice(1),
            carried: ({ context, event }) => [...context.carried, event.output.n],
          }),
        },
      },
    },
    home: { type: 'final' },
  },
  output: ({ context }) => ({ carried: context.carried }),
})

/** Freezes between the commit that says that an effect starts and what makes it start. */
function freezing(store: Store): Store {
  return {
    ...store,
    own(run, owner, options) {
      const owned = store.own(run, owner, options)
      return {
        run: owned.run,
        epoch: owned.epoch,
        commit(commit) {
          owned.commit(commit)
          if (commit.effects.some((row) => row.effect.status === 'started')) process.kill(process.pid, 'SIGSTOP')
        },
        check: () => owned.check(),
        release: () => owned.release(),
      }
    },
  }
}

const plain = sqliteStore({ path })
const store = freeze === 'freeze' ? freezing(plain) : plain
const troupe = createTroupe({
  store,
  machines: { porter },
  reap: async () => [],
  effects: {
    carry: {
      perform: ({ input }: { input: { n: number } }) => {
        appendFileSync(join(dirname(path), 'carried'), `${process.pid} ${input.n}\n`)
        return input
      },
    },
  },
})
const tree = {
  id: 'top',
  autoShutdown: 'any_significant',
  children: [{ id: 'porter', src: 'porter', significant: true, restart: 'transient' }],
} as const
let session: RunSession | undefined

async function begin(how: () => Promise<RunSession>): Promise<object> {
  const from = performance.now()
  session = await how()
  return { run: session.id, epoch: session.recovery?.epoch ?? 1, tookMs: performance.now() - from }
}

const orders: Readonly<Record<string, (word: string) => Promise<object>>> = {
  start: () => begin(() => troupe.start(tree)),
  resume: () => begin(() => troupe.resume(store.runs({})[0]!.run)),
  take: () => begin(() => troupe.resume(store.runs({})[0]!.run, { takeOver: true })),
  carry: async (word) => ({ ...(await session!.send('/top/porter', { type: 'carry', n: Number(word) })) }),
  stop: async () => ({ status: (await session!.stop()).status }),
  done: async () => {
    const { status, output } = await session!.done()
    return { status, output }
  },
}

process.stdout.write(`${JSON.stringify({ ready: process.pid })}\n`)
for await (const line of createInterface({ input: process.stdin })) {
  const [order = '', word = ''] = line.split(' ')
  const from = performance.now()
  const answer = await orders[order]!(word).catch((error: Error & { code?: string }) => ({
    failed: error.code ?? 'none',
    message: error.message,
    tookMs: performance.now() - from,
  }))
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
