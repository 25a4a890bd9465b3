/** Agents that do nothing but ask a model, one call after the other: fifty of them share one provider, as a team does. */
import { assign, setup } from 'xstate'
import type { Provider } from '../../src/actors/provider.ts'
import { createTroupe, type Store } from '../../src/index.ts'
import { generate } from '../../src/machines/effects.ts'
import { type ModelRef, modelRef } from '../../src/machines/models.ts'

/** The model that is asked. */
export const MODEL: ModelRef = modelRef.parse({
  alias: 'local',
  provider: 'ollama',
  model: 'qwen3:8b',
  contextTokens: 8_192,
  quotaGroup: 'ollama',
  price: { input: 0, output: 0, basis: 'local' },
})

interface CallerContext {
  readonly address: string
  readonly calls: number
  readonly done: number
}

const caller = setup({
  types: { context: {} as CallerContext, input: {} as { address: string; calls: number } },
  actors: { generate },
  actions: { 'thread.append': (_, _params: { thread: string; items: readonly never[] }) => {} },
}).createMachine({
  id: 'caller',
  context: ({ input }) => ({ ...input, done: 0 }),
  initial: 'beginning',
  states: {
    beginning: {
      entry: {
        type: 'thread.append',
        params: ({ context }) => ({
          thread: context.address,
          items: [{ role: 'user', content: `Say something short, ${context.address}.` }] as never[],
        }),
      },
      always: 'asking',
    },
    asking: {
      invoke: {
        src: 'generate',
        input: ({ context }) => ({
          agent: 'coder',
          thread: context.address,
          item: null,
          turn: context.done + 1,
          tools: [],
          format: 'text' as const,
          promptChars: 20,
          model: MODEL,
        }),
        onDone: [
          {
            guard: ({ context }) => context.done + 1 >= context.calls,
            target: 'finished',
            actions: assign({ done: ({ context }) => context.done + 1 }),
          },
          { target: 'asking', reenter: true, actions: assign({ done: ({ context }) => context.done + 1 }) },
        ],
      },
    },
    finished: { type: 'final' },
  },
})

/** Runs so many agents with so many calls each, to the end. */
export async function call(store: Store, provider: Provider, agents: number, calls: number): Promise<void> {
  const troupe = createTroupe({ store, machines: { caller }, providers: { ollama: provider } })
  const children = Array.from({ length: agents }, (_, index) => ({
    id: `caller-${index + 1}`,
    src: 'caller',
    restart: 'transient' as const,
    significant: true,
    input: { address: `/callers/caller-${index + 1}`, calls },
  }))
  const session = await troupe.start({ id: 'callers', autoShutdown: 'all_significant', children })
  const { status, reason } = await session.done()
  if (status !== 'succeeded') throw new Error(`the callers ended as ${status}: ${reason?.message ?? ''}`)
}
