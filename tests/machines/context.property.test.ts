/**
 * Random conversations, broken ones too, in random budgets. What must hold is checked against the conversation itself and not against the builder's groups.
 * `npm test` plays 1,000, `npm run test:nightly` all 10,000.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { buildContext, type Context } from '../../src/machines/context.ts'
import { INTERRUPTED } from '../../src/machines/history.ts'
import { estimateTokens, tokensOfMessage } from '../../src/machines/tokens.ts'
import type { Message } from '../../src/machines/vocabulary.ts'

const RUNS = process.env['TROUPE_NIGHTLY'] === undefined ? 1_000 : 10_000

type Draw = 'words' | 'answer' | 'loop' | 'late' | 'interrupted' | 'orphan' | 'summary' | 'system'
const move = fc.record({
  draw: fc.constantFrom<Draw>('words', 'words', 'answer', 'loop', 'loop', 'loop', 'late', 'interrupted', 'orphan', 'summary', 'system'),
  calls: fc.integer({ min: 1, max: 3 }),
  chars: fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: 0, max: 400 }) },
    { weight: 1, arbitrary: fc.integer({ min: 400, max: 8_000 }) },
  ),
  reach: fc.integer({ min: 0, max: 30 }),
  unicode: fc.boolean(),
  thinks: fc.boolean(),
})
const scene = fc.record({
  moves: fc.array(move, { maxLength: 25 }),
  budget: fc.oneof(fc.integer({ min: 0, max: 800 }), fc.integer({ min: 0, max: 4_000 })),
  more: fc.integer({ min: 0, max: 3_000 }),
  byEstimate: fc.boolean(),
})

/** A conversation in which each message can be told from all others. Ids of calls come again, as those of local models do. */
function conversation(moves: readonly (typeof move extends fc.Arbitrary<infer T> ? T : never)[]): readonly Message[] {
  const said: Message[] = [{ role: 'system', content: '#0 You code.' }]
  let named = 0
  for (const { draw, calls, chars, reach, unicode, thinks } of moves) {
    const text = (what: string, longer = 1): string => `#${++named} ${what} ${(unicode ? 'é語🎭 ' : 'word ').repeat((chars * longer) / 4)}`
    const ids = Array.from({ length: calls }, (_, index) => `call-${index}`)
    const thinking = thinks
      ? { thinking: { provider: 'p', blocks: [{ type: 'thinking', thinking: text('thought'), signature: 's' }] } }
      : {}
    const asking: Message = {
      ...{ role: 'assistant', content: text('asks'), ...thinking },
      toolCalls: ids.map((id) => ({ id, name: 'read', args: { path: text('path') } })),
    }
    const results = (of: readonly string[]): Message[] =>
      of.map((id): Message => ({ role: 'tool', toolCallId: id, content: `${text('result', 15)}${id}` }))
    if (draw === 'words') said.push({ role: 'user', content: text('words') })
    if (draw === 'system') said.push({ role: 'system', content: text('system') })
    if (draw === 'answer') said.push({ role: 'assistant', content: text('answer'), ...thinking })
    if (draw === 'loop') said.push(asking, ...results(unicode ? ids : ids.toReversed()))
    if (draw === 'late') said.push(asking, { role: 'user', content: text('between') }, ...results(ids))
    if (draw === 'interrupted') said.push(asking, ...results(ids.slice(1)))
    if (draw === 'orphan') said.push(...results(['nobody', 'call-0']))
    const back = Math.min(said.length, reach + 1)
    if (draw === 'summary') said.push({ role: 'user', content: text('summary'), summaryOf: { back, count: Math.max(1, back - calls) } })
  }
  return said
}

const nameOf = ({ content }: Message): string => content.split(' ')[0] ?? ''
const isNote = ({ standsFor }: Message): boolean => standsFor !== undefined

/** What no prompt may be: null where it is well. */
function faultOf(said: readonly Message[], built: Context, budget: number, measure: (message: Message) => number): string | null {
  if (!built.ok) return built.needed > budget ? null : `refused although ${built.needed} <= ${budget}`
  const shown = built.messages
  const tokens = shown.reduce((sum, message) => sum + measure(message), 0)
  if (tokens > budget || tokens !== built.tokens) return `${tokens} tokens, said ${built.tokens}, budget ${budget}`
  for (const message of said.slice(
    0,
    said.findIndex(({ role }) => role !== 'system'),
  ))
    if (!shown.includes(message)) return `the system's ${nameOf(message)} is missing`
  const lastUser = said.findLast((message) => message.role === 'user' && message.summaryOf === undefined)
  if (lastUser !== undefined && !shown.includes(lastUser)) return 'what the user said last is missing'
  const places = shown.filter((message) => message.role !== 'tool' && !isNote(message)).map((message) => said.indexOf(message))
  if (places.some((place, index) => place < (places[index - 1] ?? 0))) return `order: ${places}`
  return pairsOf(shown) ?? countsOf(said, shown)
}

/** Each answer is followed by exactly the results of its calls, and there are no others. */
function pairsOf(shown: readonly Message[]): string | null {
  for (let index = 0; index < shown.length; index++) {
    const message = shown[index]
    if (message?.role === 'tool') return `a result without its call: ${nameOf(message)}`
    const calls = message?.toolCalls ?? []
    const results = shown.slice(index + 1, index + 1 + calls.length)
    const ids = (list: readonly (string | undefined)[]): string => [...list].sort().join()
    if (ids(results.map((result) => result.toolCallId)) !== ids(calls.map((call) => call.id)))
      return `calls of ${nameOf(message!)} without results`
    index += calls.length
  }
  return null
}

/** Nobody who is shown is counted as left out, and the other way round. Orphans are neither. */
function countsOf(said: readonly Message[], shown: readonly Message[]): string | null {
  const named = new Set(shown.filter((message) => !isNote(message) && message.content !== INTERRUPTED).map((message) => nameOf(message)))
  const missing = shown.reduce((sum, message) => sum + (message.standsFor ?? 0), 0)
  const whole = buildContext({
    messages: said.filter((message) => message.summaryOf === undefined),
    budgetTokens: Number.POSITIVE_INFINITY,
    measure: () => 1,
  })
  const all = whole.ok
    ? new Set(whole.messages.filter(({ content }) => content !== INTERRUPTED).map((message) => nameOf(message))).size
    : -1
  return named.size + missing === all ? null : `${named.size} shown and ${missing} left out are not ${all}`
}

test('S11: whatever was said, a prompt is never over its budget and keeps what must be kept', () => {
  const begun = process.cpuUsage()
  const seen = { built: 0, refused: 0, dropped: 0, cut: 0 }
  fc.assert(
    fc.property(scene, ({ moves, budget, more, byEstimate }) => {
      const messages = conversation(moves)
      const measure = remembered((message) => tokensOfMessage(message, byEstimate ? estimateTokens : undefined))
      const built = buildContext({ messages, budgetTokens: budget, measure })
      const fault = faultOf(messages, built, budget, measure)
      if (fault !== null) throw new Error(fault)
      const larger = buildContext({ messages, budgetTokens: budget + more, measure })
      if (!built.ok) return void seen.refused++
      seen.built++
      seen.dropped += built.dropped === null ? 0 : 1
      seen.cut += built.cut > 0 ? 1 : 0
      const again = buildContext({ messages: built.messages, budgetTokens: budget, measure })
      if (JSON.stringify(again) !== JSON.stringify({ ...built, wholeTokens: built.tokens, dropped: null, cut: 0 }))
        throw new Error('built again it is another one')
      const lost = larger.ok ? lostBetween(built.messages, larger.messages) : ['all']
      if (lost.length > 0) throw new Error(`a larger budget shows less of ${lost}`)
    }),
    { numRuns: RUNS, seed: 11 },
  )
  process.stderr.write(`S11: ${RUNS} conversations, ${JSON.stringify(seen)}, ${Math.round(process.cpuUsage(begun).user / 1_000)} ms\n`)
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(RUNS / 20)
})

/** Each message is measured once. */
function remembered(measure: (message: Message) => number): (message: Message) => number {
  const known = new WeakMap<Message, number>()
  return (message) => {
    const size = known.get(message) ?? measure(message)
    known.set(message, size)
    return size
  }
}

/** What the smaller prompt shows more of than the larger one. */
function lostBetween(smaller: readonly Message[], larger: readonly Message[]): readonly string[] {
  const lengths = new Map(
    larger
      .filter((message) => !isNote(message))
      .map((message) => [`${message.role}${nameOf(message)}${message.toolCallId}`, message.content.length]),
  )
  return smaller
    .filter(
      (message) =>
        !isNote(message) && message.content.length > (lengths.get(`${message.role}${nameOf(message)}${message.toolCallId}`) ?? -1),
    )
    .map(nameOf)
}
