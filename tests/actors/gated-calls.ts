/**
 * Actors that call a model behind the provider gate, and a provider that limits them: what the tests of the gate have in common.
 *
 *   caller    asks its model `calls` times, one after the other, and ends with how many answers and failures there were
 *   windowed  answers `max` calls in each window and refuses the others until its end, as providers do; it remembers every arrival
 */
import { assign, setup } from 'xstate'
import { gatedBy } from '../../src/actors/gated.ts'
import type { GenerateRequest, GenerateResult, Provider } from '../../src/actors/provider.ts'
import type { Gates } from '../../src/actors/provider-gate.ts'
import { type EffectHandler, Failure } from '../../src/effect.ts'
import { type GenerateInput, type GenerateOutput, generate } from '../../src/machines/effects.ts'
import { modelRef } from '../../src/machines/models.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { Store } from '../../src/runtime/store.ts'

interface CallerContext {
  readonly name: string
  readonly calls: number
  readonly answers: readonly string[]
  readonly failures: readonly string[]
  readonly model: GenerateInput['model']
  readonly failFast: boolean
}
type CallerInput = Pick<CallerContext, 'name' | 'calls'> & {
  readonly model?: Partial<Parameters<typeof modelRef.parse>[0] & object>
  readonly failFast?: boolean
}

/** A model of the provider `limited`. */
export const model = (given: object = {}): NonNullable<GenerateInput['model']> =>
  modelRef.parse({ alias: 'm', provider: 'limited', model: 'm-1', contextTokens: 8_000, quotaGroup: 'limited', ...given })

const isOver = ({ context }: { context: CallerContext }): boolean => context.answers.length + context.failures.length >= context.calls

export const caller = setup({
  types: { context: {} as CallerContext, input: {} as CallerInput, events: {} as { type: 'leave' } },
  actors: { generate },
}).createMachine({
  id: 'caller',
  context: ({ input }) => ({
    name: input?.name ?? '',
    calls: input?.calls ?? 1,
    answers: [],
    failures: [],
    model: model(input?.model),
    failFast: input?.failFast ?? false,
  }),
  initial: 'calling',
  states: {
    next: { always: [{ guard: isOver, target: 'over' }, { target: 'calling' }] },
    calling: {
      on: { leave: 'over' },
      invoke: {
        src: 'generate',
        input: ({ context: { name, answers, failures, model: asked, failFast } }) => ({
          agent: name,
          thread: name,
          item: null,
          turn: answers.length + failures.length + 1,
          tools: [],
          format: 'text' as const,
          promptChars: 10,
          ...(asked === undefined ? {} : { model: asked }),
          ...(failFast ? { failFast } : {}),
        }),
        onDone: {
          target: 'next',
          actions: assign({ answers: ({ context, event }) => [...context.answers, event.output.message.content] }),
        },
        onError: {
          target: 'next',
          actions: assign({ failures: ({ context, event }) => [...context.failures, (event.error as { code: string }).code] }),
        },
      },
    },
    over: { type: 'final' },
  },
  output: ({ context: { answers, failures } }) => ({ answers: [...answers], failures: [...failures] }),
})

/** A handler of model calls that asks this provider, behind these gates. Without gates everybody goes at once. */
export function gatedHandler(provider: Pick<Provider, 'generate'>, gates: Gates | null): EffectHandler<GenerateInput, GenerateOutput> {
  const handler: EffectHandler<GenerateInput, GenerateOutput> = {
    perform: async (call) => {
      const { agent, item, turn } = call.input
      const request = {
        agent,
        item,
        turn,
        attempt: call.attempt,
        messages: [],
        tools: [],
        schema: null,
        outputTokensMax: 10,
        key: call.key,
      }
      const result = await provider.generate(request, { signal: call.signal, progress: call.progress })
      if (result.ok) return { message: result.message, usage: result.usage, finish: result.finish }
      const { code, message, retry, retryAfterMs } = result
      throw new Failure(code, message, { retry, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
    },
  }
  return gates === null ? handler : gatedBy(gates, handler)
}

export const answer = (content: string): GenerateResult => ({
  ok: true,
  message: { role: 'assistant', content },
  usage: { inputTokens: 1, outputTokens: 1, costUsd: null, simulated: true },
  finish: 'stop',
})

/** A call as it came to a provider. */
export interface Arrival {
  readonly atMs: number
  readonly agent: string
  readonly isRefused: boolean
}

/** Counts arrivals in fixed windows; null, or how long until the window is over. */
export function windowOf(max: number, windowMs: number): (now: number) => number | null {
  let [began, count] = [Number.NEGATIVE_INFINITY, 0]
  return (now) => {
    if (now >= began + windowMs) [began, count] = [now, 0]
    count++
    return count <= max ? null : began + windowMs - now
  }
}

/** A provider in this process that takes `max` calls in each window, and 100 to 300 ms for each. */
export function windowed(clock: Clock, { max, windowMs }: { max: number; windowMs: number }) {
  const arrivals: Arrival[] = []
  let [inFlight, peak] = [0, 0]
  const limit = windowOf(max, windowMs)
  const wait = (ms: number): Promise<void> => new Promise((resolve) => void clock.setTimer(ms, resolve))
  const generate = async ({ agent }: GenerateRequest): Promise<GenerateResult> => {
    const leftMs = limit(clock.monotonicMs())
    arrivals.push({ atMs: clock.monotonicMs(), agent, isRefused: leftMs !== null })
    peak = Math.max(peak, ++inFlight)
    await wait(100 + Math.floor(clock.random() * 200))
    inFlight--
    if (leftMs === null) return answer(`to ${agent}`)
    // As a header says it: whole seconds.
    return { ok: false, code: 'E_PROVIDER_OVERLOADED', message: '429', retry: 'after', retryAfterMs: Math.ceil(leftMs / 1_000) * 1_000 }
  }
  return { arrivals, generate, peak: () => peak }
}

/** What each actor of a run was told in the end, by its address: the texts of its answers, and the codes of its failures. */
export function toldBy(store: Pick<Store, 'effects'>, run: string): Record<string, string[]> {
  const told: Record<string, string[]> = {}
  for (const { owner, kind, status, output, error } of store.effects(run)) {
    if (kind !== 'llm.generate') continue
    const words = status === 'succeeded' ? (output as unknown as GenerateOutput).message.content : `${status} ${error?.code ?? ''}`
    told[owner] = [...(told[owner] ?? []), words]
  }
  return told
}
