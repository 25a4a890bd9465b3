/**
 * S11 `build_context(project_id, current_task, conversation, max_tokens)`: what a model is shown of what is remembered and of what was said, together, as the
 * coder does it: the memory has its share, and stands between role and item.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Memory } from '../../../src/actors/memory.ts'
import { memoryEffects } from '../../../src/actors/memory-effects.ts'
import type { EffectCall } from '../../../src/effect.ts'
import { buildContext, type Context } from '../../../src/machines/context.ts'
import type { RecallInput } from '../../../src/machines/memory-effects.ts'
import { REMEMBERED } from '../../../src/machines/remembering.ts'
import { tokensOfMessage } from '../../../src/machines/tokens.ts'
import type { Message } from '../../../src/machines/vocabulary.ts'
import { fact, mission, NEVER, PROJECT, place, written } from './place.ts'

const RUNS = process.env['TROUPE_NIGHTLY'] === undefined ? 200 : 5_000
const SYSTEM: Message = { role: 'system', content: 'You code.' }

async function build_context(
  memory: Memory,
  project: string,
  task: string,
  conversation: readonly Message[],
  tokensMax: number,
): Promise<Context> {
  const share = Math.max(1, Math.floor(tokensMax / 4))
  const input: RecallInput = { project, query: task, limits: { episodic: 5, semantic: 10, tokensMax: share } }
  const { 'memory.recall': recalling } = memoryEffects({ open: () => memory })
  const { text } = await recalling.perform({ input, signal: NEVER } as unknown as EffectCall<RecallInput>)
  const remembered: readonly Message[] = text === '' ? [] : [{ role: 'user', content: text }]
  const messages = [SYSTEM, ...remembered, { role: 'user' as const, content: task }, ...conversation]
  return buildContext({ messages, budgetTokens: tokensMax, measure: tokensOfMessage })
}

const words = fc
  .array(fc.constantFrom('flag', 'version', 'reads', 'the', 'file', 'ünïcode', '日本', '"', '(', 'NEAR'), { maxLength: 60 })
  .map((all) => all.join(' '))
const said = fc.array(fc.record({ role: fc.constantFrom('user' as const, 'assistant' as const), content: words }), { maxLength: 12 })

test('S11 build_context: never over the budget, role and last words of a user always there, what is remembered within its share', async () => {
  const { memory } = place()
  await written(memory, [
    ...Array.from({ length: 30 }, (_, index) =>
      mission(`item-${index}`, `Add flag ${index}`, `Prints the version. ${'reads the file '.repeat(index)}`),
    ),
    ...Array.from({ length: 30 }, (_, index) => fact(`The version is in file ${index}. ${'日本 '.repeat(index * 3)}`)),
  ])
  let [shown, whole, refused] = [0, 0, 0]
  const property = fc.asyncProperty(words, said, fc.integer({ min: 1, max: 6_000 }), async (task, conversation, budget) => {
    const built = await build_context(memory, PROJECT, task, conversation, budget)
    if (!built.ok) {
      refused++
      expect(built.needed).toBeGreaterThan(budget)
      return
    }
    const tokens = built.messages.reduce((sum, message) => sum + tokensOfMessage(message), 0)
    expect(tokens).toBeLessThanOrEqual(budget)
    expect(built.messages[0]).toEqual(SYSTEM)
    const last = conversation.findLast(({ role }) => role === 'user') ?? { role: 'user', content: task }
    expect(built.messages).toContainEqual(last)
    const remembered = built.messages.find(({ content }) => content.startsWith(REMEMBERED))
    if (remembered !== undefined) shown++
    if (built.dropped === null) whole++
    // A message takes a few tokens beside its text.
    expect(remembered === undefined ? 0 : tokensOfMessage(remembered)).toBeLessThanOrEqual(budget / 4 + 8)
  })
  await fc.assert(property, { numRuns: RUNS })
  process.stderr.write(`build_context: ${RUNS} prompts, ${shown} with memories, ${whole} whole, ${refused} that could not fit\n`)
  expect(Math.min(shown, whole, refused)).toBeGreaterThan(RUNS / 50)
})
