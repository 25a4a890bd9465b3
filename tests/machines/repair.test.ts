import { expect, test } from 'vitest'
import { misfitsOf, needsRepair, repairMessages, unrepaired } from '../../src/machines/repair.ts'
import { type Message, message } from '../../src/machines/vocabulary.ts'

const calling = (...calls: readonly (readonly [name: string, args: Record<string, unknown>])[]): Message =>
  message.parse({
    role: 'assistant',
    content: '',
    toolCalls: calls.map(([name, args], index) => ({ id: `call-1-${index + 1}`, name, args })),
  })
const text = (content: string): Message => ({ role: 'assistant', content })

test.each([
  ['sound calls', calling(['read', { path: 'a.ts' }], ['done', { summary: 'ready' }])],
  ['a done without a summary', calling(['done', {}])],
  ['a tool that does not exist, of which the coder tells its model', calling(['run', { command: 'ls' }])],
  ['words', text('I look at `{"name": "read"}` next.')],
  ['data', text('{"verdict": "approved"}')],
])('needs no repair: %s', (_, answer) => {
  expect(needsRepair(answer)).toBe(false)
})

test.each([
  ['a member that is missing', calling(['edit', { path: 'a.ts', old: 'x' }]), /arguments\.new: Invalid input/],
  ['a wrong type', calling(['read', { path: 7 }]), /arguments\.path: Invalid input: expected string/],
  ['a member that nobody knows', calling(['read', { path: 'a.ts', file: 'b.ts' }]), /arguments: Unrecognized key: "file"/],
  ['an expression that is none', calling(['search', { pattern: '(', regex: true }]), /arguments\.pattern: not a valid regular expression/],
])('P20 a call that does not fit is told once what was wrong, with the schema: %s', (_, answer, problem) => {
  expect(needsRepair(answer)).toBe(true)
  const [said, ...more] = repairMessages(answer)
  expect(more).toEqual([])
  expect(said).toMatchObject({ role: 'tool', toolCallId: 'call-1-1' })
  expect(said?.content).toMatch(problem)
  expect(said?.content).toMatch(/as JSON Schema: \{"type":"object"/)
  expect(unrepaired(answer)).toMatchObject({ code: 'E_PROVIDER_OUTPUT', message: expect.stringMatching(problem) })
})

test('P20 of an answer with one misfit nothing is performed, and each call has its result', () => {
  const answer = calling(['write', { path: 'a.ts', content: 'x' }], ['edit', { path: 'a.ts' }])
  expect(misfitsOf(answer).map(({ call }) => call.id)).toEqual(['call-1-2'])
  expect(repairMessages(answer).map(({ toolCallId, content }) => [toolCallId, content.split('\n')[0]])).toEqual([
    ['call-1-1', 'not done: another call of the same answer could not be used. Call it again together with that one.'],
    ['call-1-2', 'not done: the arguments do not fit.'],
  ])
})

test.each([
  ['in tags', '<tool_call>{"name": "read", "arguments": {"path": "a.ts",}}</tool_call>'],
  ['bare', 'I read.\n{"name": "read", "arguments": {"path": "a.ts"'],
  ['fenced', '```json\n{"name": "read", "arguments": {path: "a.ts"}}\n```'],
  ['as a function', '<function=read><parameter=path>a.ts'],
])('P20 a call in a text that is no JSON is told once: %s', (_, content) => {
  expect(needsRepair(text(content))).toBe(true)
  expect(repairMessages(text(content))).toMatchObject([{ role: 'user', content: expect.stringMatching(/could not be read/) }])
  expect(unrepaired(text(content)).message).toBe('no usable tool call, 2 times: a call in its text is no JSON')
})

test('hostile arguments stay short in what is told of them', () => {
  const [said] = repairMessages(calling(['list', Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`key${index}`, 1]))]))
  expect(said?.content.length).toBeLessThan(2_000)
})
