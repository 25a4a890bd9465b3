/** Agents with a long conversation: as a thread of its own, the way agents should keep it, and as an array in the context, the way everybody begins. */
import { assign, setup } from 'xstate'

export interface Message {
  readonly [key: string]: string
  readonly role: string
  readonly text: string
}

/** Bytes of one message's text. */
const MESSAGE_BYTES = 1_000

const WORDS = 'a run of an actor is kept in its store so that what was said by one of them can be read after the end of all others'.split(
  ' ',
)

/** No two are the same; they compress about as text does. */
export function message(number: number): Message {
  let text = `${number}:`
  let seed = number + 1
  while (text.length < MESSAGE_BYTES) {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    text += ` ${WORDS[seed % WORDS.length]}${seed % 97}`
  }
  return { role: number % 2 === 0 ? 'user' : 'assistant', text: text.slice(0, MESSAGE_BYTES) }
}

const messages = (from: number, count: number): Message[] => Array.from({ length: count }, (_, index) => message(from + index))

/** Where the conversation of an agent begins, and how long it is by then. */
export interface Talk {
  readonly thread: string
  readonly from: number
  readonly length: number
}

type Say = { type: 'say'; message: Message }

/** Its context holds the name and the length of the conversation. */
export const threaded = setup({
  types: { context: {} as Talk, input: {} as Talk, events: {} as Say },
  actions: { 'thread.append': (_, _params: { thread: string; items: readonly Message[] }) => {} },
}).createMachine({
  id: 'threaded',
  context: ({ input }) => input,
  entry: { type: 'thread.append', params: ({ context }) => ({ thread: context.thread, items: messages(context.from, context.length) }) },
  on: {
    say: {
      actions: [
        { type: 'thread.append', params: ({ context, event }) => ({ thread: context.thread, items: [event.message] }) },
        assign({ length: ({ context }) => context.length + 1 }),
      ],
    },
  },
})

/** Its context holds the conversation. */
export const listed = setup({
  types: { context: {} as { messages: readonly Message[] }, input: {} as Talk, events: {} as Say },
}).createMachine({
  id: 'listed',
  context: ({ input }) => ({ messages: messages(input.from, input.length) }),
  on: { say: { actions: assign({ messages: ({ context, event }) => [...context.messages, event.message] }) } },
})
