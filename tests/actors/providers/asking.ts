/** Asks one provider one thing, as the handler of `llm.generate` does, and keeps all that it tells meanwhile. */
import type { GenerateRequest, GenerateResult, Message, Provider } from '../../../src/actors/provider.ts'
import type { Json } from '../../../src/json.ts'
import { type ModelRef, modelRef } from '../../../src/machines/models.ts'

/** In the prompt of each request. It must not appear in any failure. */
export const CANARY = 'the greeting says Helo in line seventeen'
/** The key that the servers accept. It must not appear in any result. */
export const KEY = 'sk-canary-0123456789abcdef'

export const TOOL = {
  name: 'edit',
  description: 'Replaces text in a file.',
  input: { type: 'object', properties: { path: { type: 'string' }, old: { type: 'string' }, new: { type: 'string' } } },
} as const
export const EDIT = { id: 'call_a', name: 'edit', args: { path: 'src/greeting.ts', old: 'Helo', new: 'Hello' } }

export const said = (role: Message['role'], content: string, more: Partial<Message> = {}): Message =>
  ({ role, content, ...more }) as Message

/** A model with what the test changes. */
export const modelOf = (provider: string, model: string, change: Partial<ModelRef> = {}): ModelRef => ({
  ...modelRef.parse({ alias: 'a', provider, model, contextTokens: 100_000, quotaGroup: provider }),
  ...change,
})

/** A request with what the test changes. */
export const requestOf = (model: ModelRef, change: Partial<GenerateRequest> = {}): GenerateRequest => ({
  agent: 'coder',
  item: 'parse',
  turn: 3,
  attempt: 1,
  messages: [said('system', 'You mend code.'), said('user', `Please: ${CANARY}.`)],
  tools: [TOOL],
  schema: null,
  outputTokensMax: 4_096,
  model,
  key: 'run-1/e7',
  ...change,
})

export interface Told {
  readonly result: GenerateResult
  readonly progress: readonly Json[]
  readonly started: number
  readonly alive: number
}

/** One attempt. */
export async function ask(provider: Provider, request: GenerateRequest, signal: AbortSignal = new AbortController().signal): Promise<Told> {
  const progress: Json[] = []
  let started = 0
  let alive = 0
  const result = await provider.generate(request, {
    signal,
    progress: (data) => progress.push(data),
    started: () => {
      started += 1
    },
    alive: () => {
      alive += 1
    },
  })
  return { result, progress, started, alive }
}
