/** M10, context limits: a conversation that outgrows its model's window goes on, with a summary or without, and over a crash. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exitOf } from '../../src/catalogue.ts'
import { TOOLS_TOKENS } from '../../src/machines/compacting.ts'
import { tokensOfTools } from '../../src/machines/tokens.ts'
import type { Message } from '../../src/machines/vocabulary.ts'
import { memoryStore } from '../../src/runtime/stores/memory.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { killingStore } from '../crash/killing-store.ts'
import { temporaryFolder } from '../harness.ts'
import { FILES, type Talk, talkLife, talkSurvives, WINDOW } from './long-talk.ts'

const DONE = { type: 'task.done', summary: `Read all ${FILES}.` }
const coders = ({ asked }: Talk) => asked.filter(({ agent }) => agent === 'coder')
/** How the coder's conversation became shorter. What the optimizer was shown of it may have been cut, which is told as well. */
const shortened = ({ facts }: Talk) => facts.filter(({ path }) => path === '/talk/coder')
const methods = (talk: Talk): string[] => shortened(talk).map(({ method }) => method)
const words = (messages: readonly Message[]): string => messages.map(({ content }) => content).join('\n')

/** What must hold for each prompt of the coder, however it became shorter. */
function expectSound(talk: Talk): void {
  for (const { messages, tokens } of coders(talk)) {
    expect(tokens).toBeLessThanOrEqual(WINDOW)
    expect(messages.slice(0, 2).map(({ role }) => role)).toEqual(['system', 'user'])
    const ids = (role: 'assistant' | 'tool') => messages.filter((message) => message.role === role).length
    expect(ids('tool')).toBe(ids('assistant'))
  }
  for (const { beforeTokens, afterTokens } of talk.facts) expect(afterTokens).toBeLessThan(beforeTokens)
}

test('M10: a tool loop that is longer than the window ends done, with summaries by the optimizer', async () => {
  const talk = await talkLife({ folder: temporaryFolder(), store: memoryStore() })
  expect({ status: talk.status, output: talk.output }).toEqual({ status: 'succeeded', output: DONE })
  expectSound(talk)
  expect(methods(talk).length).toBeGreaterThan(0)
  expect(new Set(methods(talk))).toEqual(new Set(['summary']))
  expect(talk.facts.every(({ item }) => item === 'parse')).toBe(true)
  const last = words(coders(talk).at(-1)!.messages)
  expect(last).toContain('Read some files; 1. Go on.')
  expect(last).toContain(`file ${FILES}:`)
  expect(last).not.toContain('file 1:')
  expect(talk.thread.length).toBe(2 + 2 * FILES + 1 + shortened(talk).length)
  expect(tokensOfTools(coders(talk)[0]!.tools)).toBeLessThanOrEqual(TOOLS_TOKENS)
})

test('M10: the optimizer reads the stretch as text, and an older summary in the place of what it stands for', async () => {
  const talk = await talkLife({ folder: temporaryFolder(), store: memoryStore() })
  const [first, second] = talk.asked.filter(({ agent }) => agent === 'optimizer').map(({ messages }) => messages)
  expect(first!.map(({ role }) => role)).toEqual(['system', 'user', 'user'])
  expect(first![1]!.content).toMatch(/^--- assistant\nFile 1\.\ncalls read {"path":"file-1\.txt"}\n--- result\nfile 1: some words/)
  expect(second![1]!.content).toMatch(/^--- summary of \d+ messages before\n\[summary of the \d+ messages/)
  expect(second![1]!.content).not.toContain('file 1:')
})

test.for(['failure', 'long'] as const)(
  'M10: with an optimizer that gives no usable summary (%s) a line takes its place, and the loop ends done',
  async (optimizing) => {
    const talk = await talkLife({ folder: temporaryFolder(), store: memoryStore(), optimizing })
    expect({ status: talk.status, output: talk.output }).toEqual({ status: 'succeeded', output: DONE })
    expectSound(talk)
    expect(methods(talk).length).toBeGreaterThan(0)
    expect(new Set(methods(talk))).toEqual(new Set(['truncated']))
    expect(words(coders(talk).at(-1)!.messages)).toMatch(/\[\d+ messages that were here are left out/)
    const tries = talk.asked.filter(({ agent }) => agent === 'optimizer').length
    expect(tries).toBe((optimizing === 'long' ? 2 : 1) * shortened(talk).length)
  },
)

test('P16: it is not made shorter at every turn', async () => {
  const talk = await talkLife({ folder: temporaryFolder(), store: memoryStore() })
  expect(shortened(talk).length).toBeLessThanOrEqual(FILES / 5)
})

test('what a model has counted lets it read more before anything is made shorter', async () => {
  const talks = await Promise.all([true, false].map((reports) => talkLife({ folder: temporaryFolder(), store: memoryStore(), reports })))
  for (const talk of talks) expect(talk.output).toEqual(DONE)
  const [known, unknown] = talks.map((talk) => talk.asked.findIndex(({ agent }) => agent === 'optimizer'))
  expect(known).toBeGreaterThan(unknown!)
})

test('one result that is larger than the window is cut in the middle, and that is on record', async () => {
  const talk = await talkLife({ folder: temporaryFolder(), store: memoryStore(), filesChars: 30_000 })
  expect(talk.output).toEqual(DONE)
  expectSound(talk)
  expect(words(coders(talk)[1]!.messages)).toMatch(/file 1: [\s\S]*\[\d+ characters left out\]/)
  expect(methods(talk)).toContain('truncated')
})

test('what must be said and does not fit fails the item with E_CONTEXT_TOO_LARGE, exit 6', async () => {
  const talk = await talkLife({ folder: temporaryFolder(), store: memoryStore(), task: 'word '.repeat(3_900) })
  expect(talk.output).toMatchObject({ type: 'task.failed', error: { code: 'E_CONTEXT_TOO_LARGE' } })
  expect(exitOf('E_CONTEXT_TOO_LARGE')).toBe(6)
  expect(coders(talk)).toEqual([])
})

test.for(['summary', 'failure'] as const)(
  'M10: killed after any of its commits, a run that is made shorter (%s) ends as if it had not been',
  { timeout: 600_000 },
  async (optimizing) => {
    const store = killingStore(sqliteStore({ path: join(temporaryFolder(), 'troupe.db') }), null)
    const undisturbed = await talkLife({ folder: temporaryFolder(), store, optimizing })
    const commits = store.commits()
    store.close()
    const essence = ({ status, output, facts, thread }: Talk) => ({ status, output, facts, thread })
    const every = process.env['TROUPE_NIGHTLY'] === undefined ? 24 : 1
    let kills = 0
    for (let commit = 1; commit <= commits; commit += every, kills++) {
      const folder = temporaryFolder()
      const open = () => sqliteStore({ path: join(folder, 'troupe.db') })
      const survived = await talkSurvives({ commit, when: 'after' }, open, { folder, optimizing })
      expect({ commit, ...essence(survived) }).toEqual({ commit, ...essence(undisturbed) })
    }
    process.stderr.write(
      `context, ${optimizing}: killed after ${kills} of ${commits} commits, ${shortened(undisturbed).length} times made shorter\n`,
    )
  },
)
