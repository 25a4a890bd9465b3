/**
 * Asks models over the wire in a process of its own, so that what is printed and how much memory is taken can be seen from outside. The servers live in the
 * process that started this one.
 *
 *   parent --{ asks }--> child: one run of the real engine for each ask --{ told }--> parent
 */
import { assign, setup } from 'xstate'
import type { GenerateResult, Provider } from '../../../src/actors/provider.ts'
import { createTroupe } from '../../../src/actors/troupe.ts'
import { type ErrorData, errorData } from '../../../src/errors.ts'
import { generate } from '../../../src/machines/effects.ts'
import { modelError } from '../../../src/machines/fallback.ts'
import { type ModelRef, modelRef } from '../../../src/machines/models.ts'
import type { Message } from '../../../src/machines/vocabulary.ts'
import type { ThreadAppend } from '../../../src/protocol.ts'
import { memoryStore } from '../../../src/runtime/stores/memory.ts'
import type { ProviderName } from './fault-cases.ts'
import { MODELS, providerOf } from './fault-providers.ts'

/** One call of a model. */
export interface Ask {
  readonly provider: ProviderName
  readonly url: string
  readonly attemptsMax: number
  readonly firstMs: number
  readonly idleMs: number
}

/** What came of it. */
export interface Told {
  /** `ok`, or the code that the machine heard, and which deadline it was. */
  readonly code: string
  readonly which: string | null
  readonly message: Message | null
  /** As the store has it, all attempts together. */
  readonly usage: readonly [number, number] | null
  readonly attempts: readonly { readonly result: GenerateResult; readonly ms: number }[]
  /** Peak of the process before and after, MB. */
  readonly peakMb: readonly [number, number]
}

const MESSAGES: readonly Message[] = [
  { role: 'system', content: 'You mend greetings.' },
  { role: 'user', content: 'Mend the greeting in src/greeting.ts.' },
]

interface Heard {
  readonly model: ModelRef
  readonly error: ErrorData | null
  readonly said: Message | null
}

/** One call. */
const asker = setup({
  types: { context: {} as Heard, input: {} as { model: ModelRef } },
  actors: { generate },
  actions: {
    'thread.append': (_, _params: ThreadAppend) => {},
    hear: assign((_, params: Partial<Heard>) => params),
  },
}).createMachine({
  id: 'asker',
  context: ({ input }) => ({ model: input.model, error: null, said: null }),
  initial: 'asking',
  states: {
    asking: {
      entry: { type: 'thread.append', params: { thread: '/top/one/talk', items: MESSAGES as never } },
      invoke: {
        src: 'generate',
        input: ({ context }) => ({ ...CALL, tools: ['edit'], model: context.model }),
        onDone: { target: 'ended', actions: { type: 'hear', params: ({ event }) => ({ said: event.output.message }) } },
        onError: { target: 'ended', actions: { type: 'hear', params: ({ event }) => ({ error: modelError(errorData(event.error)) }) } },
      },
    },
    ended: {},
  },
})

const CALL = { agent: 'coder', thread: '/top/one/talk', item: null, turn: 1, format: 'text', promptChars: 100 } as const

/** One run of the engine. */
async function play(ask: Ask): Promise<Told> {
  const attempts: { result: GenerateResult; ms: number }[] = []
  const provider = watched(providerOf(ask.provider, ask.url), attempts)
  const store = memoryStore()
  const troupe = createTroupe({ store, machines: { asker }, providers: { [ask.provider]: provider } })
  const before = peakMb()
  const one = { id: 'one', src: 'asker', restart: 'temporary', input: { model: modelOf(ask) } } as const
  const session = await troupe.start({ id: 'top', children: [one] })
  const heard = (): Heard | null => {
    const snapshot = session.snapshot('/top/one')
    return snapshot?.value === 'ended' ? (snapshot.context as unknown as Heard) : null
  }
  for await (const _ of session.watch()) if (heard() !== null) break
  const { error, said } = heard()!
  const row = store.effects(session.id).find(({ kind }) => kind === 'llm.generate')
  await session.stop()
  troupe.close()
  return {
    code: error?.code ?? 'ok',
    which: typeof error?.['which'] === 'string' ? error['which'] : null,
    message: said,
    usage: row?.usage ? [row.usage.inputTokens, row.usage.outputTokens] : null,
    attempts,
    peakMb: [before, peakMb()],
  }
}

/** Keeps what each attempt came to, and how long it took. */
function watched(provider: Provider, attempts: { result: GenerateResult; ms: number }[]): Provider {
  return {
    ...provider,
    generate: async (request, options) => {
      const began = performance.now()
      const result = await provider.generate(request, options)
      attempts.push({ result, ms: performance.now() - began })
      return result
    },
  }
}

const modelOf = ({ provider, attemptsMax, firstMs, idleMs }: Ask): ModelRef =>
  modelRef.parse({
    alias: 'it',
    provider,
    model: MODELS[provider],
    contextTokens: 32_000,
    quotaGroup: provider,
    price: { input: 1, output: 2 },
    timeouts: { firstTokenMs: firstMs, idleMs, totalMs: 120_000 },
    retry: { maxAttempts: attemptsMax, baseDelayMs: 1, maxDelayMs: 5 },
  })

const peakMb = (): number => process.resourceUsage().maxRSS / 1_024

process.on('message', async ({ asks, atOnce }: { readonly asks: readonly Ask[]; readonly atOnce: number }) => {
  const told: Told[] = []
  const waiting = [...asks.entries()]
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) told[next[0]] = await play(next[1])
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  process.send?.({ told })
})
