/** A machine whose process dies while a promise runs and a callback is up. What touches the world leaves a line in a file, which outlives the process. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { type AnyStateMachine, assign, fromCallback, fromPromise, sendTo, setup } from 'xstate'
import type { TreeSpec } from '../../../src/protocol.ts'

export const MORTAL_TREE: TreeSpec = { id: 'top', children: [{ id: 'one', src: 'mortal', from: 'checkpoint' }] }

/** @param die  what a dying process does; a living one leaves it out. */
export function mortal(file: string, die: () => void): AnyStateMachine {
  const line = (text: string): void => appendFileSync(file, `${text}\n`)
  return setup({
    types: { context: {} as { heard: string[]; got: unknown }, events: {} as { type: 'news'; of: string } | { type: 'die' | 'let die' } },
    actors: {
      job: fromPromise(async ({ input }: { input: { from: string } }) => {
        line(`promise ${input.from}`)
        return linesOf(file).filter((text) => text.startsWith('promise')).length > 1 ? 'done' : new Promise<string>(() => {})
      }),
      line: fromCallback<{ type: 'die' }, { from: string }>(({ sendBack, receive, input }) => {
        line(`callback ${input.from}`)
        sendBack({ type: 'news', of: 'kept' })
        receive(() => {
          line('callback told')
          sendBack({ type: 'news', of: 'lost' })
          die()
        })
      }),
    },
  }).createMachine({
    id: 'mortal',
    context: { heard: [], got: null },
    invoke: [
      { src: 'job', input: { from: 'first' }, onDone: { actions: assign({ got: ({ event }) => event.output }) } },
      { src: 'line', id: 'line', input: { from: 'first' } },
    ],
    on: {
      news: { actions: assign({ heard: ({ context, event }) => [...context.heard, event.of] }) },
      die: {
        actions: [
          assign({ heard: ({ context }) => [...context.heard, 'dying'] }),
          () => {
            line('inline one')
            die()
          },
          () => line('inline two'),
        ],
      },
      'let die': { actions: sendTo('line', { type: 'die' }) },
    },
  }) as unknown as AnyStateMachine
}

export const linesOf = (file: string): string[] => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [])
