/**
 * One process of a crowd on one store: `crowd.child.ts STORE NAME EVENTS`. It opens the store, starts a run of its own at `go`, sends its counter
 * one event after the other, each acknowledged before the next, and says what came of it and how long each had to wait.
 */
import { once } from 'node:events'
import { assign, setup } from 'xstate'
import { createTroupe } from '../../src/actors/troupe.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'

const [path = '', name = '', events = ''] = process.argv.slice(2)
const last = Number(events)
const counter = setup({
  types: {
    context: {} as { last: number; count: number; sum: number },
    input: {} as { last: number },
    events: {} as { type: 'add'; n: number },
  },
}).createMachine({
  id: 'counter',
  context: ({ input }) => ({ last: input.last, count: 0, sum: 0 }),
  initial: 'counting',
  states: {
    counting: { always: { guard: ({ context }) => context.count === context.last, target: 'counted' } },
    counted: { type: 'final' },
  },
  on: { add: { actions: assign(({ context, event }) => ({ count: context.count + 1, sum: context.sum + event.n })) } },
  output: ({ context }) => ({ count: context.count, sum: context.sum }),
})
const say = (line: object): boolean => process.stdout.write(`${JSON.stringify(line)}\n`)
const waits: number[] = []

async function timed<T>(work: Promise<T>): Promise<T> {
  const from = performance.now()
  const result = await work
  waits.push(Math.round((performance.now() - from) * 100) / 100)
  return result
}

async function count(): Promise<object> {
  const store = sqliteStore({ path })
  try {
    say({ ready: process.pid })
    await once(process.stdin, 'data')
    const child = { id: 'counter', src: 'counter', significant: true, restart: 'transient' as const }
    const troupe = createTroupe({ store, machines: { counter }, reap: async () => [] })
    const session = await timed(troupe.start({ id: 'top', autoShutdown: 'any_significant', children: [child] }, { name, input: { last } }))
    const positions: number[] = []
    for (let n = 1; n <= last; n++) positions.push((await timed(session.send('/top/counter', { type: 'add', n }))).position)
    const { output, status } = await session.done()
    const journal = new Set<number>()
    for (let page = store.journal(session.id, 0); page.length > 0; page = store.journal(session.id, page.at(-1)!.pos))
      for (const { pos, type } of page) if (type === 'message.accepted') journal.add(pos)
    return { run: session.id, status, output, lost: positions.filter((position) => !journal.has(position)), waits }
  } finally {
    store.close()
  }
}
try {
  say(await count())
} catch (error) {
  const { code, message } = error as Error & { code?: string }
  say({ failed: code ?? 'none', message, waits })
}
process.exit()
