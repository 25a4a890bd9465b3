/**
 * Tool calls that come as text (P20). The forms are those of Qwen, Hermes, Mistral and Llama models whose servers did not see their calls.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ToolOffer } from '../../../src/actors/provider.ts'
import { jsonEnd } from '../../../src/actors/providers/json-end.ts'
import { type SaidCall, salvage, storable } from '../../../src/actors/providers/salvage.ts'
import type { Json } from '../../../src/json.ts'

const offer = (name: string, properties: Record<string, { type: string }>): ToolOffer => ({
  name,
  description: name,
  input: { type: 'object', properties },
})
const TOOLS = [
  offer('read', { path: { type: 'string' }, lines: { type: 'array' } }),
  offer('write', { path: { type: 'string' }, content: { type: 'string' }, mode: { type: 'integer' }, force: { type: 'boolean' } }),
  offer('done', { summary: { type: 'string' } }),
]
const READ: SaidCall = { name: 'read', args: { path: 'src/a.ts' } }
const DONE: SaidCall = { name: 'done', args: { summary: 'it is "done"\n}' } }
const json = ({ name, args }: SaidCall, key = 'arguments'): string => JSON.stringify({ name, [key]: args })

test.each([
  ['bare', json(READ), [READ], ''],
  ['with `parameters`', json(READ, 'parameters'), [READ], ''],
  ['with `args`', json(READ, 'args'), [READ], ''],
  [
    'as OpenAI spells it',
    JSON.stringify({ type: 'function', function: { name: 'read', arguments: JSON.stringify(READ.args) } }),
    [READ],
    '',
  ],
  ['printed over several lines', `I look.\n${JSON.stringify({ name: 'read', arguments: READ.args }, null, 2)}\n`, [READ], 'I look.'],
  ['in a fence', `I look.\n\`\`\`json\n${json(READ)}\n\`\`\`\nThen I go on.`, [READ], 'I look.\n\nThen I go on.'],
  ['in a fence that never ends', `\`\`\`\n${json(READ)}`, [READ], ''],
  ['in a fence, several', `\`\`\`json\n${json(READ)}\n${json(DONE)}\n\`\`\``, [READ, DONE], ''],
  ['in tags', `Now:\n<tool_call>\n${json(READ)}\n</tool_call>`, [READ], 'Now:'],
  ['in tags that never end', `<tool_call>\n${json(READ)}`, [READ], ''],
  ['in tags, several', `<tool_call>${json(READ)}</tool_call>\n<tool_call>${json(DONE)}</tool_call>`, [READ, DONE], ''],
  ['in tags in a fence', `\`\`\`xml\n<tool_call>${json(READ)}</tool_call>\n\`\`\``, [READ], ''],
  ['a list', `[${json(READ)}, ${json(DONE)}]`, [READ, DONE], ''],
  ['several in a row', `${json(READ)}\n${json(DONE)}`, [READ, DONE], ''],
  ['several on one line', `${json(READ)} ${json(DONE)}`, [READ, DONE], ''],
  [
    'a function in XML',
    '<tool_call>\n<function=write>\n<parameter=path>\na.ts\n</parameter>\n<parameter=content>\n{"x": 1}\n</parameter>\n<parameter=mode>\n420\n</parameter>\n</function>\n</tool_call>',
    [{ name: 'write', args: { path: 'a.ts', content: '{"x": 1}', mode: 420 } }],
    '',
  ],
  [
    'a function without tags',
    'I see.\n<function=done><parameter=summary>ready</parameter></function>',
    [{ name: 'done', args: { summary: 'ready' } }],
    'I see.',
  ],
  ['after a mention of the tag', `I use <tool_call> now.\n${json(READ)}`, [READ], 'I use <tool_call> now.'],
] as const)('a call is found: %s', (_, text, calls, content) => {
  expect(salvage(text, TOOLS)).toEqual({ calls, content })
})

test.each([
  ['of a tool that was not offered', json({ name: 'run', args: { command: 'rm -rf /' } })],
  ['inside a sentence', `I called ${json(READ)} and it failed`],
  ['at the end of a sentence', `I called ${json(READ)}`],
  ['at the start of a sentence', `${json(READ)} is what I called`],
  ['inside other JSON', `{"steps": [\n${json(READ)}\n]}`],
  ['inside JSON that is broken', `{"steps": [\n${json(READ)}\n],}`],
  ['after a brace that never closes', `{"steps":\n${json(READ)}\n`],
  ['in a fence of another language', `\`\`\`ts\n${json(READ)}\n\`\`\``],
  ['in a fence beside a comment', `\`\`\`json\n${json(READ)}\n// reads it\n\`\`\``],
  ['in tags with words beside it', `<tool_call>${json(READ)} please</tool_call>`],
  ['cut off', json(READ).slice(0, -1)],
  ['cut off in tags', `<tool_call>${json(READ).slice(0, -2)}`],
  ['with a comma too much', '{"name":"read","arguments":{"path":"a",}}'],
  ['with single quotes', "{'name':'read','arguments':{'path':'a'}}"],
  ['without arguments', '{"name":"read"}'],
  ['with arguments that are no object', '{"name":"read","arguments":["a"]}'],
  ['with arguments twice', '{"name":"read","arguments":{},"args":{}}'],
  ['with other members, as data has', '{"name":"read","arguments":{},"description":"reads"}'],
  ['of a list with one that is none', `[${json(READ)}, {"name":"run","arguments":{}}]`],
  ['of a function with a value of the wrong type', '<function=write><parameter=mode>rw</parameter></function>'],
  ['of a function without its end', '<function=read><parameter=path>a</parameter>'],
  ['of a function with a parameter twice', '<function=read><parameter=path>a</parameter><parameter=path>b</parameter></function>'],
  ['with arguments that cannot be stored', '{"name":"read","arguments":{"a\\"b":1}}'],
])('what is no call stays as it is: %s', (_, text) => {
  expect(salvage(text, TOOLS)).toEqual({ calls: [], content: text })
})

const words = fc.string({
  unit: fc.constantFrom('a', ' ', '\n', '{', '}', '[', ']', '"', '\\', '`', '```', '<', '>', '<tool_call>', ':', ',', 'é', '🙂'),
})
/** What JSON gives back unchanged and the store takes: see src/json.ts. */
const value = fc
  .jsonValue({ maxDepth: 3, stringUnit: 'grapheme' })
  .map((one) => JSON.parse(JSON.stringify(one)) as unknown)
  .filter((one) => storable(one) !== undefined)
  .map((one) => one as Json)
const key = fc.stringMatching(/^[a-z]{1,8}$/)
const call: fc.Arbitrary<SaidCall> = fc.record({
  name: fc.constantFrom('read', 'write', 'done'),
  args: fc.dictionary(key, value, { maxKeys: 4, noNullPrototype: true }),
})
const form = fc.constantFrom<(call: SaidCall) => string>(
  (one) => json(one),
  (one) => json(one, 'parameters'),
  (one) => JSON.stringify({ name: one.name, args: one.args }, null, 2),
  (one) => `\`\`\`json\n${json(one)}\n\`\`\``,
  (one) => `<tool_call>\n${json(one)}\n</tool_call>`,
  (one) => `\`\`\`\n<tool_call>${json(one)}</tool_call>\n\`\`\``,
)

test('any text without a call is untouched', () => {
  fc.assert(
    fc.property(words, (text) => {
      expect(salvage(text, TOOLS)).toEqual({ content: text, calls: [] })
    }),
    { numRuns: 300 },
  )
})

test('any calls, each in any form, come back equal and in their order, with the words before them', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(call, form), { minLength: 1, maxLength: 4 }), (said) => {
      const text = ['I look.', ...said.map(([one, render]) => render(one))].join('\n')
      expect(salvage(text, TOOLS)).toEqual({ calls: said.map(([one]) => one), content: 'I look.' })
    }),
    { numRuns: 300 },
  )
})

const text = fc.string({ unit: 'grapheme' }).filter((one) => !one.includes('</parameter>') && !/\r$/.test(one))
test('any call in XML comes back equal, each value with the type of the schema', () => {
  const args = fc.record(
    { path: text, content: text, mode: fc.integer().filter((one) => !Object.is(one, -0)), force: fc.boolean() },
    { requiredKeys: [], noNullPrototype: true },
  )
  fc.assert(
    fc.property(args, (given) => {
      const parameters = Object.entries(given).map(
        ([name, one]) => `<parameter=${name}>\n${typeof one === 'string' ? one : JSON.stringify(one)}\n</parameter>\n`,
      )
      const said = `<function=write>\n${parameters.join('')}</function>`
      expect(salvage(said, TOOLS).calls).toEqual([{ name: 'write', args: given }])
    }),
    { numRuns: 200 },
  )
})

test.each([
  ['open tags', '<tool_call>{'],
  ['open functions', '<function=read><parameter=path>'],
  ['open braces', '{\n'],
  ['closed braces', '{}\n'],
  ['open fences', '```json\n{\n'],
  ['fences', '```\n{}\n```\n'],
  ['spaces', ' '],
  ['quotes', '{"\n'],
])('a hostile megabyte costs no more than its length: %s', (_, unit) => {
  const hostile = unit.repeat(Math.ceil(1_000_000 / unit.length))
  const before = process.cpuUsage()
  expect(salvage(hostile, TOOLS).content).toBe(hostile)
  expect(process.cpuUsage(before).user).toBeLessThan(1_500_000)
})

test('a call with megabytes of content is found', () => {
  const big = { name: 'write', args: { path: 'a', content: '"\\\n'.repeat(300_000) } }
  expect(salvage(`Here:\n${json(big)}`, TOOLS)).toEqual({ calls: [big], content: 'Here:' })
  expect(jsonEnd('x{}', 0)).toBeNull()
})
