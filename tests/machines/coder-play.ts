/** A coder whose effects answer from a table, under XState's own `createActor`; its clock is simulated. */
import { type AnyActorRef, createActor, fromCallback, fromPromise, SimulatedClock } from 'xstate'
import { coder } from '../../src/machines/coder.ts'
import type { CoderInput } from '../../src/machines/coder-rules.ts'
import type { Message } from '../../src/machines/vocabulary.ts'
import type { AskParams } from '../../src/protocol.ts'
import { WORKSPACE } from './orchestrator-play.ts'

type Said = Partial<Message> | { code: string; message: string }
export interface Fakes {
  readonly says: readonly Said[]
  readonly read?: (input: object) => unknown
  readonly planWrite?: (input: object) => unknown
  readonly write?: (input: object) => unknown
  readonly iterationsMax?: number
  readonly loops?: CoderInput['loops']
  readonly memory?: CoderInput['memory']
  /** What is remembered, in words. Default: the memory is down. */
  readonly recall?: (input: object) => unknown
  /** Has an optimizer at `/team/optimizer`, whom nobody answers for but the test. */
  readonly window?: CoderInput['window']
}

export const ASSIGN = {
  type: 'task.assign',
  item: { id: 'flag', description: 'Add the flag', phase: 'implementation', priority: 1, needs: [], files: ['src/cli.ts'] },
  goal: 'Add a flag',
  input: { name: 'version' },
  workspace: WORKSPACE,
  round: 1,
  feedback: null,
} as const

/** A tool call of the model. */
export const call = (name: string, args: object, id = `c-${name}`) => ({ id, name, args }) as NonNullable<Message['toolCalls']>[number]

/** A coder whose effects answer from a table, and an asker that collects what it is told. */
export function coding(fakes: Fakes) {
  const effects: unknown[] = []
  const appended: Message[] = []
  const asks: AskParams[] = []
  const answers: { type: string; [key: string]: unknown }[] = []
  let asked = 0
  let awaited: () => void = () => {}
  const perform = (name: string, output: (input: never) => unknown) =>
    fromPromise(async ({ input }: { input: never }) => {
      effects.push([name, input])
      return output(input)
    })
  const generate = (): unknown => {
    // A coder without limits would ask for ever, and no timeout of the test would come through.
    if (asked > 100) throw { code: 'E_RUNAWAY', message: 'asked 100 times' }
    const said = fakes.says[Math.min(asked++, fakes.says.length - 1)]!
    if ('code' in said) throw said
    return { message: { role: 'assistant', content: '', ...said }, usage: { inputTokens: 1, outputTokens: 1, costUsd: 0 }, finish: 'stop' }
  }
  const down = (): never => {
    throw { code: 'E_STORE_IO', message: 'no disk' }
  }
  const machine = coder.provide({
    actors: {
      generate: perform('generate', generate),
      read: perform('read', fakes.read ?? (() => ({ content: 'text', seen: null }))),
      planWrite: perform('planWrite', fakes.planWrite ?? (() => ({ path: 'src/cli.ts', before: 'h1', after: 'h2', content: 'x' }))),
      recall: perform('recall', fakes.recall ?? down),
      write: perform('write', fakes.write ?? (() => ({ path: 'src/cli.ts', hash: 'h2' }))),
    } as never,
    actions: {
      'thread.append': (_, params) => void appended.push(...(params.items as readonly Message[])),
      ask: (_, params) => void asks.push(params),
    },
  })
  const asker = createActor(
    fromCallback<{ type: string }>(({ receive }) =>
      receive((event) => {
        answers.push(event)
        awaited()
      }),
    ),
  )
  asker.start()
  const input = {
    address: '/team/coder',
    system: 'You code.',
    ...(fakes.iterationsMax === undefined ? {} : { iterationsMax: fakes.iterationsMax }),
    ...(fakes.memory === undefined ? {} : { memory: fakes.memory }),
    ...(fakes.loops === undefined ? {} : { loops: fakes.loops }),
    ...(fakes.window === undefined ? {} : { window: fakes.window, optimizer: '/team/optimizer' }),
  }
  const clock = new SimulatedClock()
  const facts: { type: string; [key: string]: unknown }[] = []
  const actor = createActor(machine, { input, clock })
  actor.on('*', (fact) => void facts.push(fact))
  actor.subscribe({ error: () => {} })
  actor.start()
  /** Sends an assignment and waits for the next answer. */
  const assign = async (change: object = {}): Promise<{ type: string; [key: string]: unknown }> => {
    const answered = new Promise<void>((resolve) => {
      awaited = resolve
    })
    actor.send({ ...ASSIGN, ...change, replyTo: asker as AnyActorRef } as never)
    await answered
    return answers.at(-1)!
  }
  return { actor, asker, assign, effects, asks, appended, answers, facts, clock }
}

/** Waits for what will hold soon. */
export async function waitUntil(holds: () => boolean, diagnosis: () => string): Promise<void> {
  const deadline = performance.now() + 5_000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited 5 s in vain: ${diagnosis()}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
