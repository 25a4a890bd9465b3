import fc from 'fast-check'
import { expect, test } from 'vitest'
import { modelRef } from '../../src/machines/models.ts'
import { fits, type Resident, vramKey, vramOf, vramPlan } from '../../src/machines/vram.ts'

const ref = (alias: string, model: string, vramGb: number | null, more: { provider?: string; contextTokens?: number } = {}) =>
  modelRef.parse({ alias, provider: 'ollama', model, contextTokens: 16_384, quotaGroup: 'ollama', vramGb, ...more })
const CARD = { totalGb: 16, reserveGb: 2 }
const coder = ref('coder', 'qwen3:14b', 10)
const reviewer = ref('reviewer', 'qwen3:14b', 10)
const writer = ref('writer', 'llama3.1:8b', null)

test('S9 distinct models count once, one without a size counts 8 GB, and what needs more than is free takes turns', () => {
  expect(vramPlan([[coder], [reviewer], [writer]], CARD)).toEqual({
    models: [
      { key: 'ollama/qwen3:14b', gb: 10, aliases: ['coder', 'reviewer'] },
      { key: 'ollama/llama3.1:8b', gb: 8, aliases: ['writer'] },
    ],
    neededGb: 18,
    freeGb: 14,
    warnings: ['coder and writer need 18 GB together, 14 GB are free for models; they take turns'],
  })
})

test('S9 no warning where everything fits, and a model of a cloud takes nothing', () => {
  const cloud = ref('planner', 'claude', null, { provider: 'anthropic' })
  expect(vramOf(cloud)).toBeNull()
  expect(vramPlan([[coder], [cloud]], CARD)).toMatchObject({ neededGb: 10, warnings: [] })
  expect(vramPlan([], CARD)).toEqual({ models: [], neededGb: 0, freeGb: 14, warnings: [] })
})

test('S9 a fallback counts alone, not together with the first choices', () => {
  const large = ref('large', 'qwen3:32b', 22)
  const words = 'large needs 22 GB alone, 14 GB are free for models; it runs partly on the processor'
  expect(vramPlan([[coder, writer]], CARD)).toMatchObject({ neededGb: 10, warnings: [] })
  expect(vramPlan([[coder, large]], CARD)).toMatchObject({ neededGb: 10, warnings: [words] })
})

test('S9 a reserve larger than the card leaves nothing, not less than nothing', () => {
  expect(vramPlan([[coder]], { totalGb: 2, reserveGb: 4 }).freeGb).toBe(0)
})

test('one model with two windows is told: it is loaded again at each change', () => {
  const wide = ref('wide', 'qwen3:14b', 10, { contextTokens: 32_768 })
  expect(vramPlan([[coder], [wide]], CARD).warnings).toEqual([
    'coder and wide use one model with windows of 16384 and 32768 tokens; it is loaded again at each change',
  ])
})

const held = (key: string, gb: number): Resident => ({ key, gb })
const A = held('ollama/a', 10)
const B = held('ollama/b', 8)
const C = held('ollama/c', 4)

test.each([
  ['nobody is at work', [], [], A, { fits: true, evicts: [] }],
  ['it is in use already', [A], [A], A, { fits: true, evicts: [] }],
  ['another one is in use, and both fit', [A], [A], C, { fits: true, evicts: [] }],
  ['another one is in use, and both do not fit', [A], [A], B, { fits: false, evicts: [] }],
  ['another one is idle: it makes room', [A], [], B, { fits: true, evicts: ['ollama/a'] }],
  ['only as many go as must', [B, C], [], A, { fits: true, evicts: ['ollama/b'] }],
  ['it is larger than everything, and alone', [B], [], held('ollama/huge', 40), { fits: true, evicts: ['ollama/b'] }],
  ['it is larger than everything, and others are at work', [B], [B], held('ollama/huge', 40), { fits: false, evicts: [] }],
  ['two calls of one model count once', [B], [B, B], C, { fits: true, evicts: [] }],
])('S9 a lease where %s', (_, resident, inUse, wanted, decision) => {
  expect(fits(resident, inUse, wanted, 14)).toEqual(decision)
})

test('S9 models in use never need more than is free, but for one that is alone; and nobody waits once the others are done', () => {
  const model = fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd', 'e'), gb: fc.integer({ min: 1, max: 24 }) })
  const models = fc.uniqueArray(model, { selector: ({ key }) => key, minLength: 1 })
  fc.assert(
    fc.property(models, fc.array(fc.nat(), { maxLength: 20 }), fc.integer({ min: 1, max: 24 }), (all, wishes, free) => {
      const inUse: Resident[] = []
      for (const wish of wishes) {
        const wanted = all[wish % all.length] ?? all[0]!
        if (fits(inUse, inUse, wanted, free).fits) inUse.push(wanted)
        const distinct = [...new Map(inUse.map((one) => [one.key, one.gb])).values()]
        expect(distinct.length === 1 || distinct.reduce((sum, gb) => sum + gb, 0) <= free).toBe(true)
      }
      for (const wanted of all) expect(fits(inUse, [], wanted, free).fits).toBe(true)
    }),
    { numRuns: 200 },
  )
})

test('aliases of one model are one in memory', () => {
  expect(vramKey(coder)).toBe(vramKey(reviewer))
})
