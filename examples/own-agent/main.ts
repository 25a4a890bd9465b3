/** An agent of your own: a statechart that asks a model, tries what it says, and tells it what was wrong until it fits. Run it: npx node main.ts */
import { assign, setup } from 'xstate'
import { z } from 'zod'
import { createTroupe, effect, memoryStore } from '../../src/index.ts'

const ask = effect({
  kind: 'model.ask',
  input: z.object({ prompt: z.string() }),
  output: z.string(),
  repeat: 'repeat', // After a crash it is simply asked again.
  retry: { maxAttempts: 3, baseDelayMs: 10, maxDelayMs: 100, exponentialBase: 2 },
})
const poet = setup({
  types: { context: {} as { prompt: string; answer: string; turns: number }, input: {} as { topic: string } },
  actors: { ask },
  guards: { fits: ({ context }) => context.answer.split(' ').length <= 5, isTired: ({ context }) => context.turns >= 5 },
}).createMachine({
  id: 'poet',
  context: ({ input }) => ({ prompt: `A line about ${input.topic}, five words at most.`, answer: '', turns: 0 }),
  initial: 'asking',
  states: {
    asking: {
      invoke: {
        src: 'ask',
        input: ({ context }) => ({ prompt: context.prompt }),
        onDone: { target: 'judging', actions: assign(({ context, event }) => ({ answer: event.output, turns: context.turns + 1 })) },
      },
    },
    judging: {
      always: [
        { guard: 'fits', target: 'done' },
        { guard: 'isTired', target: 'done' },
        { target: 'asking', actions: assign({ prompt: ({ context }) => `Shorter: ${context.answer}` }) },
      ],
    },
    done: { type: 'final' },
  },
  output: ({ context }) => ({ line: context.answer, turns: context.turns }),
})

const drafts = ['slow rain counts the roofs of our small town', 'slow rain counts roofs of the town', 'slow rain counts roofs']
const perform = async ({ input: { prompt } }: { input: { prompt: string } }): Promise<string> => {
  console.log(`> ${prompt}`)
  return drafts.shift() ?? 'rain' // A model of yours goes here.
}
const troupe = createTroupe({ store: memoryStore(), machines: { poet }, effects: { ask: { perform } } })
const run = await troupe.start({
  id: 'team',
  autoShutdown: 'any_significant', // The run ends when the poet has, with what he says.
  children: [{ id: 'poet', src: 'poet', input: { topic: 'rain' }, restart: 'transient', significant: true, from: 'checkpoint' }],
})
const { status, output, usage } = await run.done()
console.log(`${status} after ${usage.effects} effects: ${JSON.stringify(output)}`)
troupe.close()
