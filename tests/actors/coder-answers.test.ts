/** Answers that a coder cannot use as they are, on the real engine: repaired once, nudged twice, or taken for what they are (P20, S10). */
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { GenerateRequest, GenerateResult, Provider } from '../../src/actors/provider.ts'
import { parseTask } from '../../src/actors/task.ts'
import { teamMachines, teamTree } from '../../src/actors/team.ts'
import { createTroupe } from '../../src/actors/troupe.ts'
import { type ModelRef, modelRef } from '../../src/machines/models.ts'
import type { Message } from '../../src/machines/vocabulary.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { sameForAll } from './wired.ts'

let home = ''
let dir = ''
beforeEach(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'troupe-answers-')))
  dir = join(home, 'project')
  await mkdir(dir)
  await writeFile(join(dir, 'says.txt'), 'nothing\n')
})
afterEach(() => rm(home, { recursive: true, force: true }))

const model = (alias: string): ModelRef =>
  modelRef.parse({ alias, provider: alias, model: alias, contextTokens: 32_000, quotaGroup: alias, retry: { maxAttempts: 1 } })
const usage = { inputTokens: 10, outputTokens: 1, costUsd: null }
const says = (content: string): Partial<Message> => ({ content })
const calls = (name: string, args: { [key: string]: string | number }): Partial<Message> => ({
  toolCalls: [{ id: `c-${name}`, name, args }],
})
const DONE = calls('done', { summary: 'It says hello.' })
const WRITE = calls('write', { path: 'hello.txt', content: 'hello' })
const MISFIT = calls('write', { path: 'hello.txt', text: 'hello' })

/** A coder's model that gives these answers one after the other, the last one again and again; it approves as a reviewer. */
function answering(name: string, answers: readonly Partial<Message>[]): Provider & { readonly shown: GenerateRequest[] } {
  const shown: GenerateRequest[] = []
  return {
    name,
    simulated: false,
    shown,
    generate: async (request): Promise<GenerateResult> => {
      const isReview = request.agent === 'reviewer'
      if (!isReview) shown.push(request)
      const said = isReview ? says('{"verdict":"approved"}') : (answers[shown.length - 1] ?? answers.at(-1)!)
      const message: Message = { role: 'assistant', content: '', ...said }
      return { ok: true, message, usage, finish: said.toolCalls === undefined ? 'stop' : 'tool_calls' }
    },
  }
}

async function play(...providers: readonly (Provider & { readonly shown: GenerateRequest[] })[]) {
  const store = sqliteStore({ path: join(home, 'troupe.db') })
  const byName = Object.fromEntries(providers.map((one) => [one.name, one]))
  const troupe = createTroupe({ store, machines: teamMachines, providers: byName, workDir: join(home, 'work') })
  const task = parseTask('goal: Say hello.\nworkspace: {mode: copy}\nwork: [{id: hello, description: Say hello}]', 'task.yaml')
  const { tree, input } = teamTree(task, { dir, models: sameForAll(providers.map(({ name }) => model(name))) })
  const session = await troupe.start(tree, { input })
  const result = await session.done()
  const written = await readFile(join(dir, 'hello.txt'), 'utf8').catch(() => null)
  const summary = (result.output as { work?: { summary: string }[] } | null)?.work?.[0]?.summary ?? null
  const switched = store.journal(session.id, 0).filter(({ type }) => type === 'model.switched').length
  troupe.close()
  return { status: result.status, code: result.reason?.code ?? null, written, summary, switched }
}
const lastWords = ({ shown }: { shown: GenerateRequest[] }, call: number): string => shown[call]?.messages.at(-1)?.content ?? ''

test('P20: a call whose arguments do not fit is told to its model once, with the schema, and the repaired one is performed', async () => {
  const weak = answering('weak', [MISFIT, WRITE, DONE])
  expect(await play(weak)).toEqual({ status: 'succeeded', code: null, written: 'hello', summary: 'It says hello.', switched: 0 })
  expect(lastWords(weak, 1)).toMatch(/^not done: the arguments do not fit\.\n- arguments\.content: [\s\S]*JSON Schema: \{.*"content"/)
  expect(weak.shown).toHaveLength(3)
})

test('P20: a call that is only text, and broken, is told to its model; nothing of it is performed', async () => {
  const weak = answering('weak', [says('<tool_call>{"name": "write", "arguments": {"path": "hello.txt", </tool_call>'), WRITE, DONE])
  expect(await play(weak)).toMatchObject({ status: 'succeeded', written: 'hello' })
  expect(lastWords(weak, 1)).toContain('could not be read, so nothing was done')
})

test('P20: a model that cannot repair its call is given up for this call, and the next one of the chain is asked', async () => {
  const [weak, strong] = [answering('weak', [MISFIT, MISFIT, DONE]), answering('strong', [WRITE])]
  expect(await play(weak, strong)).toMatchObject({ status: 'succeeded', written: 'hello', switched: 1 })
  const shown = strong.shown[0]!.messages
  expect(shown.filter(({ toolCalls }) => toolCalls !== undefined)).toHaveLength(1)
  expect(shown.at(-1)).toMatchObject({ role: 'tool', toolCallId: 'c-write' })
})

test('P20: where nobody else is there, the item fails with what was wrong, and nothing is promoted', async () => {
  expect(await play(answering('weak', [MISFIT]))).toMatchObject({ status: 'failed', code: 'E_PROVIDER_OUTPUT', written: null })
})

test('S10: text without a decision does not end the work: the model is told to go on or to decide', async () => {
  const chatty = answering('chatty', [says('I will write the file now.'), WRITE, says('Done, I think.'), DONE])
  expect(await play(chatty)).toMatchObject({ status: 'succeeded', written: 'hello', summary: 'It says hello.' })
  expect(lastWords(chatty, 1)).toContain('You called no tool, so nothing was done.')
  expect(lastWords(chatty, 3)).toContain('You called no tool')
})

test('S10: a model that says text only is told twice; then its text is the summary', async () => {
  const mute = answering('mute', [says('one'), says('two'), says('three')])
  expect(await play(mute)).toMatchObject({ status: 'succeeded', summary: 'three' })
  expect(mute.shown).toHaveLength(3)
})

test.each(['<sindri:complete/>', '<troupe:complete />'])(
  'S10: the loop stops on %s in one iteration, and the marker is no part of the summary',
  async (marker) => {
    const marking = answering('marking', [says(`It says hello already. ${marker}`)])
    expect(await play(marking)).toMatchObject({ status: 'succeeded', summary: 'It says hello already.' })
    expect(marking.shown).toHaveLength(1)
  },
)
