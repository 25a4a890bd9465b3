/**
 * The faults of the matrix, and what must follow from each: written down here by hand, played by faults.test.ts, printed in docs/reference/faults.md.
 *
 *   fault on the wire --adapter--> code, class of retry, cost of the attempt --engine--> requests, outcome
 *
 * All providers must answer a fault alike. Where a wire cannot say the same, the row says so for that provider.
 */
import type { Exchange, Fault } from '../../wire/exchange.ts'

export const PROVIDERS = ['anthropic', 'openai-compatible', 'ollama'] as const
export type ProviderName = (typeof PROVIDERS)[number]

/**
 * What follows. `code`: `ok`, or of the failure that the machine hears. `charged`: tokens of prompt and answer that each attempt has cost; `~`: an estimate,
 * where the server had begun to answer and never told the cost; null: none.
 */
export interface Outcome {
  readonly code: string
  readonly retry: 'never' | 'backoff' | 'after' | '-'
  readonly charged: readonly [number, number] | '~' | null
}

export interface FaultCase {
  readonly name: string
  readonly fault: (target: string) => Fault
  readonly expected: Outcome
  readonly but?: { readonly [provider in ProviderName]?: Partial<Outcome> }
  /** It ends by a deadline of the model only: which one. */
  readonly deadline?: 'first' | 'idle'
  /** The server asks for this wait at least, milliseconds. */
  readonly waitMs?: number
}

/** The answer that is spoilt: text, then one tool call, 100 tokens in, 20 out. */
export const SOUND: Exchange = {
  text: ['I mend ', 'the greeting ', 'now.'],
  toolCalls: [{ name: 'edit', args: { path: 'src/greeting.ts', old: 'Helo, wörld', new: 'Hello, "wörld"\n' } }],
  usage: { input: 100, output: 20 },
}
/** Attempts of a call that goes on failing. */
export const ATTEMPTS_MAX = 3
/** A line that no answer needs. */
export const HUGE_BYTES = 48_000_000

const again = (code: string): Outcome => ({ code, retry: 'backoff', charged: null })
const waits = (code: string): Outcome => ({ code, retry: 'after', charged: null })
const OK: Outcome = { code: 'ok', retry: '-', charged: [100, 20] }
/** An answer had begun. Anthropic says at the beginning what the prompt costs, the others say all of it with their last words. */
const begun = (code: string): Pick<FaultCase, 'expected' | 'but'> => ({
  expected: { ...again(code), charged: '~' },
  but: { anthropic: { charged: [100, 1] } },
})
const OUTPUT = 'E_PROVIDER_OUTPUT'
const UNREACHABLE = 'E_PROVIDER_UNREACHABLE'
const OVERLOADED = 'E_PROVIDER_OVERLOADED'

export const CASES: readonly FaultCase[] = [
  {
    name: '429, Retry-After in seconds',
    fault: () => ({ kind: 'status', status: 429, retryAfter: '1' }),
    expected: waits(OVERLOADED),
    waitMs: 1_000,
  },
  {
    name: '429, Retry-After as a date',
    fault: () => ({ kind: 'status', status: 429, retryAfter: new Date(Date.now() + 1_900).toUTCString() }),
    expected: waits(OVERLOADED),
    waitMs: 800,
  },
  {
    name: '429, retry-after-ms',
    fault: () => ({ kind: 'status', status: 429, retryAfterMs: 300 }),
    expected: waits(OVERLOADED),
    waitMs: 300,
  },
  { name: '429, without a word', fault: () => ({ kind: 'status', status: 429 }), expected: again(OVERLOADED) },
  { name: '529', fault: () => ({ kind: 'status', status: 529 }), expected: again(OVERLOADED) },
  { name: '503', fault: () => ({ kind: 'status', status: 503 }), expected: again(OVERLOADED) },
  { name: '500', fault: () => ({ kind: 'status', status: 500 }), expected: again(UNREACHABLE) },
  { name: '400', fault: () => ({ kind: 'status', status: 400 }), expected: { code: 'E_PROVIDER_REFUSED', retry: 'never', charged: null } },
  {
    name: '401',
    fault: () => ({ kind: 'status', status: 401 }),
    expected: { code: 'E_CREDENTIALS_REJECTED', retry: 'never', charged: null },
  },
  { name: 'connection refused', fault: () => ({ kind: 'empty' }), expected: again(UNREACHABLE) },
  {
    name: 'silence before the headers',
    fault: () => ({ kind: 'hang', after: 0 }),
    expected: again('E_PROVIDER_TIMEOUT'),
    deadline: 'first',
  },
  { name: 'silence in the middle', fault: () => ({ kind: 'hang' }), ...begun('E_PROVIDER_TIMEOUT'), deadline: 'idle' },
  { name: 'a clean cut in the middle', fault: () => ({ kind: 'cut' }), ...begun(OUTPUT) },
  {
    name: 'a clean cut before the last event',
    fault: () => ({ kind: 'cut', after: -1 }),
    expected: { ...again(OUTPUT), charged: [100, 20] },
    but: { ollama: { charged: '~' } },
  },
  { name: 'a reset in the middle', fault: () => ({ kind: 'reset' }), ...begun(UNREACHABLE) },
  { name: 'a line that is no JSON', fault: () => ({ kind: 'garbage' }), ...begun(OUTPUT) },
  { name: 'a line of 48 MB', fault: () => ({ kind: 'huge', bytes: HUGE_BYTES }), ...begun(OUTPUT) },
  { name: 'a tool call of broken JSON', fault: () => ({ kind: 'tool_json' }), expected: { ...again(OUTPUT), charged: [100, 20] } },
  {
    name: 'an error event after status 200',
    fault: () => ({ kind: 'error' }),
    expected: { ...again(UNREACHABLE), charged: '~' },
    but: { anthropic: { code: OVERLOADED, charged: [100, 1] } },
  },
  { name: 'a page of HTML, status 200', fault: () => ({ kind: 'html' }), expected: again(OUTPUT) },
  {
    name: 'a redirect, 307',
    fault: (to) => ({ kind: 'redirect', status: 307, to }),
    expected: { code: 'E_PROVIDER_REFUSED', retry: 'never', charged: null },
  },
  {
    name: 'a redirect, 302',
    fault: (to) => ({ kind: 'redirect', status: 302, to }),
    expected: { code: 'E_PROVIDER_REFUSED', retry: 'never', charged: null },
  },
  { name: 'an empty body', fault: () => ({ kind: 'empty' }), expected: again(OUTPUT) },
  { name: 'JSON of another shape', fault: () => ({ kind: 'schema' }), expected: again(OUTPUT) },
  { name: 'the last event twice', fault: () => ({ kind: 'twice' }), expected: OK },
  { name: 'bytes that drip', fault: () => ({ kind: 'drip', everyMs: 1, bytes: 13 }), expected: OK },
]

/** What must follow for one provider. */
export const expectedOf = ({ expected, but }: FaultCase, provider: ProviderName): Outcome => ({ ...expected, ...but?.[provider] })

/** Requests of a call whose fault stays. */
export const requestsOf = ({ retry }: Outcome): number => (retry === 'never' || retry === '-' ? 1 : ATTEMPTS_MAX)

/** The matrix as a table. */
export function markdown(): string {
  const rows = CASES.map((one) => [one.name, ...PROVIDERS.map((provider) => cellOf(one, provider))])
  const all = [['on the wire', ...PROVIDERS], ['---', ...PROVIDERS.map(() => '---')], ...rows]
  return all.map((row) => `| ${row.join(' | ')} |`).join('\n')
}

function cellOf(one: FaultCase, provider: ProviderName): string {
  const outcome = expectedOf(one, provider)
  const charged = outcome.charged === null ? 'nothing' : outcome.charged === '~' ? '~' : outcome.charged.join(' + ')
  if (outcome.code === 'ok') return `the answer · 1 request · ${charged}`
  const which = one.deadline === undefined ? '' : ` \`${one.deadline}\``
  return `\`${outcome.code}\`${which} · ${outcome.retry} · ${requestsOf(outcome)} ${requestsOf(outcome) === 1 ? 'request' : 'requests'} · ${charged}`
}
