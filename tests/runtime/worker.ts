/** An actor that performs one effect when it is told to, for tests that are about effects. */
import { assign, setup } from 'xstate'
import { z } from 'zod'
import { type Deadlines, type EffectHandler, effect, type RepeatPolicy, type RetryPolicy } from '../../src/effect.ts'

export type Handler = EffectHandler<{ n: number }, number>
export type Call = Parameters<Handler['perform']>[0]
/** Work that never ends. */
export const hang = (_begun: number): Promise<never> => new Promise(() => {})

interface WorkOptions {
  readonly repeat?: RepeatPolicy
  readonly timeoutMs?: number
  readonly deadlines?: Deadlines
  readonly retry?: RetryPolicy
  readonly tokens?: number
}

/** Does one piece of work when told to, and keeps what came of it. `stay` holds it open when it has failed. */
export function worker({ tokens, repeat = 'repeat', ...rest }: WorkOptions = {}) {
  const reserve = tokens === undefined ? {} : { reserve: () => ({ tokens }) }
  const work = effect({ kind: 'work.do', input: z.object({ n: z.number() }), output: z.number(), repeat, ...rest, ...reserve })
  return setup({
    types: { context: {} as { result: unknown }, events: {} as { type: 'go' | 'leave' | 'end' | 'last.breath' } },
    actors: { work },
  }).createMachine({
    id: 'worker',
    context: { result: null },
    initial: 'idle',
    on: { end: '.ended' },
    states: {
      idle: { on: { go: 'working' } },
      working: {
        on: { leave: 'idle' },
        invoke: {
          src: 'work',
          input: { n: 1 },
          onDone: { target: 'idle', actions: assign({ result: ({ event }) => event.output }) },
          onError: { target: 'idle', actions: assign({ result: ({ event }) => (event.error as { code: string }).code }) },
        },
      },
      ended: { type: 'final' },
    },
    output: ({ context }) => context.result,
  })
}
