import { expect, test } from 'vitest'
import { completionNudge, completionOf, NUDGES_MAX } from '../../src/machines/completion.ts'
import type { Message } from '../../src/machines/vocabulary.ts'

const REAL = { simulated: false }
const said = (content: string, ...names: readonly string[]): Message => ({
  role: 'assistant',
  content,
  ...(names.length === 0 ? {} : { toolCalls: names.map((name, index) => ({ id: `call-1-${index + 1}`, name, args: {} })) }),
})

test('S10 a call of a tool is the decision, whatever the text beside it says', () => {
  expect(completionOf(said('I am done.', 'done'), REAL)).toEqual({ kind: 'decided', text: 'I am done.' })
  expect(completionOf(said('<troupe:complete/>', 'edit'), REAL)).toEqual({ kind: 'decided', text: '' })
})

test.each(['<troupe:complete/>', '<sindri:complete/>', '<troupe:complete />'])(
  'S10 the marker %s completes in one turn, and is no part of the summary',
  (marker) => {
    expect(completionOf(said(`The parser reads commas.\n${marker}\n`), REAL)).toEqual({ kind: 'marked', text: 'The parser reads commas.' })
  },
)

test('S10 text alone is no completion: the model is told so twice, and then no more', () => {
  expect(completionOf(said('The work is complete.'), REAL)).toEqual({ kind: 'silent', text: 'The work is complete.' })
  const words = [0, 1, 2, 3].map(completionNudge)
  expect(words.map((nudge) => nudge !== null)).toEqual([true, true, false, false])
  expect(words.filter((nudge) => nudge !== null)).toHaveLength(NUDGES_MAX)
  for (const nudge of words.slice(0, NUDGES_MAX)) expect(nudge).toMatch(/call `done` with a summary.*<troupe:complete\/>/)
})

test.each(['troupe:complete', '<troupe:complete>', '&lt;troupe:complete/&gt;', '<other:complete/>'])('S10 %s is no marker', (text) => {
  expect(completionOf(said(text), REAL).kind).toBe('silent')
})

test('a script that answers with text has decided', () => {
  expect(completionOf(said('ready'), { simulated: true })).toEqual({ kind: 'decided', text: 'ready' })
})
