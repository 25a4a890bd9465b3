/** The memory under the engine: a team that remembers, runs that die anywhere, and what a machine is told where there is no memory. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { teamEffects } from '../../../src/actors/effects.ts'
import { memoryFile, openMemories } from '../../../src/actors/memory/memories.ts'
import { memoryEffects } from '../../../src/actors/memory-effects.ts'
import { scripted } from '../../../src/actors/providers/scripted.ts'
import { parseTask } from '../../../src/actors/task.ts'
import { teamMachines, teamTree } from '../../../src/actors/team.ts'
import { createTroupe } from '../../../src/actors/troupe.ts'
import type { EffectCall } from '../../../src/effect.ts'
import { errorData } from '../../../src/errors.ts'
import { type RecordInput, record } from '../../../src/machines/memory-effects.ts'
import { REMEMBERED } from '../../../src/machines/remembering.ts'
import type { Message } from '../../../src/machines/vocabulary.ts'
import { memoryStore } from '../../../src/runtime/stores/memory.ts'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'
import { Killed, type KillPoint, killingStore } from '../../crash/killing-store.ts'
import { temporaryFolder } from '../../harness.ts'
import { fact, mission, NEVER, PROJECT, place, recalled, written } from './place.ts'

const base = mkdtempSync(join(tmpdir(), 'troupe-memory-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))
let folders = 0
const folder = (): string => join(base, String(++folders))

/** Writes three memories, one after the other. */
const noter = setup({
  types: { context: {} as { n: number; failed: string[] }, input: {} as { project: string } },
  actors: { record },
}).createMachine({
  id: 'noter',
  context: { n: 1, failed: [] },
  initial: 'noting',
  states: {
    noting: {
      invoke: {
        src: 'record',
        input: ({ context: { n } }) => ({ kind: 'fact', key: `fact-${n}`, project: PROJECT, text: `note ${n}`, source: 'noter' }),
        onDone: { target: 'noted', actions: assign({ n: ({ context }) => context.n + 1 }) },
        onError: {
          target: 'noted',
          actions: assign({
            n: ({ context }) => context.n + 1,
            failed: ({ context, event }) => [...context.failed, errorData(event.error).code],
          }),
        },
      },
    },
    noted: { always: [{ guard: ({ context }) => context.n > 3, target: 'done' }, { target: 'noting' }] },
    done: { type: 'final' },
  },
  output: ({ context }) => context.failed,
})

/** One life of a run that notes. Throws {@link Killed} where its store kills it. */
async function life(where: string, point: KillPoint | null) {
  mkdirSync(where, { recursive: true })
  const store = killingStore(sqliteStore({ path: join(where, 'troupe.db') }), point)
  const memories = openMemories({ home: where })
  try {
    const troupe = createTroupe({ store, machines: { noter }, effects: memoryEffects(memories), reap: async () => [] })
    const child = { id: 'noter', src: 'noter', significant: true, restart: 'transient' as const }
    const before = store.runs({})[0]
    if (before?.status === 'succeeded') return { commits: 0 }
    const session =
      before === undefined
        ? await troupe.start({ id: 'top', autoShutdown: 'any_significant', children: [child] }, { quarantine: false })
        : await troupe.resume(before.run)
    const { output } = await session.done()
    expect(output).toEqual([])
    return { commits: store.commits() }
  } finally {
    await memories.close()
    store.close()
  }
}

test('a run that dies before or after any of its commits remembers each thing once', async () => {
  const { commits } = await life(folder(), null)
  for (let commit = 1; commit <= commits; commit++)
    for (const when of ['before', 'after'] as const) {
      const where = folder()
      const died = await life(where, { commit, when }).catch((error: unknown) => error)
      if (died instanceof Killed) await life(where, null)
      const { memory } = place({ home: where })
      expect({ commit, when, ...(await recalled(memory, 'note')) }).toMatchObject({ commit, when, facts: ['note 3', 'note 2', 'note 1'] })
      await memory.stop()
    }
  process.stderr.write(`memory: ${commits * 2} kill points, each record once\n`)
})

test('a second run of the team begins with what the first one has learned (M10)', async () => {
  const home = temporaryFolder()
  const project = join(home, 'project')
  mkdirSync(project)
  writeFileSync(join(project, 'says.txt'), 'nothing\n')
  const task = (says: string) =>
    parseTask(
      `
goal: The program says ${says}.
provider: scripted
workspace: {mode: copy}
work: [{id: say-${says}, description: Say ${says} in says.txt}]
replies:
  - {agent: coder, turn: 1, tool_calls: [{name: write, args: {path: says.txt, content: ${says}}}]}
  - {agent: coder, turn: 2, tool_calls: [{name: done, args: {summary: It says ${says} now.}}]}
  - {agent: reviewer, reply: {verdict: approved}}
`
        .replace('write,', says === 'hello' ? 'write,' : 'edit,')
        .replace('content: bye', 'old: hello, new: bye'),
      'task.yaml',
    )
  const run = async (says: string): Promise<readonly Message[]> => {
    const { replies, ...given } = task(says)
    const store = sqliteStore({ path: join(home, 'troupe.db') })
    const memories = openMemories({ home })
    const { handlers } = teamEffects({ provider: scripted(replies), root: join(home, 'work') })
    const troupe = createTroupe({ store, machines: teamMachines, effects: { ...handlers, ...memoryEffects(memories) } })
    const { tree, input } = teamTree({ replies, ...given }, { dir: project, memory: true })
    const session = await troupe.start(tree, { input })
    const { status } = await session.done()
    expect([status, readFileSync(join(project, 'says.txt'), 'utf8')]).toEqual(['succeeded', says])
    const thread = store.thread(session.id, `/team/coder/say-${says}`) as unknown as readonly Message[]
    expect(await memories.close()).toBe(0)
    troupe.close()
    return thread
  }
  writeFileSync(join(project, 'says.txt'), '')
  const first = await run('hello')
  expect(first.map(({ role }) => role).slice(0, 3)).toEqual(['system', 'user', 'assistant'])
  const second = await run('bye')
  expect(second.map(({ role }) => role).slice(0, 4)).toEqual(['system', 'user', 'user', 'assistant'])
  const [said, ...lines] = second[1]!.content.split('\n')
  expect(said).toBe(REMEMBERED)
  expect(lines.map((line) => line.slice(13))).toEqual(['say-hello (done): Say hello in says.txt → It says hello now. Files: says.txt.'])
  expect(second[2]?.content).toContain('Work item say-bye')
})

const call = (input: RecordInput): EffectCall<RecordInput> => ({ input, run: 'r1', signal: NEVER }) as unknown as EffectCall<RecordInput>

test('a mission is written with its files, and each kind of record has its place', async () => {
  const { memory } = place()
  const { 'memory.record': recording } = memoryEffects({ open: () => memory })
  const about = { kind: 'mission', key: 'k', item: 'flag', goal: 'Add it', outcome: 'done', summary: 'Added.', tree: 't' } as const
  expect(await recording.perform(call({ ...about, files: ['a.ts', 'b.ts'] }))).toEqual({ operations: 3 })
  expect(await recording.perform(call({ ...about, files: ['a.ts', 'b.ts'] }))).toEqual({ operations: 3 })
  expect(memory.snapshots('a.ts')).toHaveLength(1)
  for (const name of ['cli', 'store']) await recording.perform(call({ kind: 'entity', key: name, name, is: 'module', text: 'x' }))
  await recording.perform(call({ kind: 'relationship', key: 'r', source: 'cli', relation: 'imports', target: 'store' }))
  expect(memory.relationships('cli')).toHaveLength(1)
})

test('a memory that is full or closed is a failure that is tried again, one that does not fit is not, and neither is lost without a word', async () => {
  const { memory } = place({ queue: { operationsMax: 2 } })
  const { 'memory.record': recording } = memoryEffects({ open: () => memory })
  const note = (key: string): RecordInput => ({ kind: 'fact', key, text: key, source: 'test' })
  for (const key of ['a', 'b']) memory.enqueue(fact(key))
  const full = Promise.resolve(recording.perform(call(note('c'))))
  await expect(full).rejects.toMatchObject({ code: 'E_MEMORY_REFUSED', retry: 'backoff', message: expect.stringContaining('full') })
  expect(await recording.perform(call(note('c')))).toEqual({ operations: 1 })
  const bad: RecordInput = { kind: 'relationship', key: 'r', source: 'x', relation: 'y', target: 'z' }
  await expect(recording.perform(call(bad))).rejects.toMatchObject({ code: 'E_MEMORY_REFUSED', retry: 'never' })
  await memory.stop()
  await expect(recording.perform(call(note('d')))).rejects.toMatchObject({ retry: 'backoff', message: expect.stringContaining('stopped') })
})

test('a machine whose memory cannot be opened is told so, and goes on', async () => {
  const home = temporaryFolder()
  const file = memoryFile(home, PROJECT)
  mkdirSync(dirname(file))
  writeFileSync(file, 'no database, but a text that is long enough to be taken for one by nobody')
  const store = memoryStore()
  const memories = openMemories({ home })
  const troupe = createTroupe({ store, machines: { noter }, effects: memoryEffects(memories), reap: async () => [] })
  const child = { id: 'noter', src: 'noter', significant: true, restart: 'transient' as const }
  const session = await troupe.start({ id: 'top', autoShutdown: 'any_significant', children: [child] })
  expect(await session.done()).toMatchObject({ status: 'succeeded', output: ['E_MEMORY_REFUSED', 'E_MEMORY_REFUSED', 'E_MEMORY_REFUSED'] })
  await memories.close()
  expect(readFileSync(file, 'utf8')).toContain('no database')
})

test('two projects have two memories, and one folder has one, by whichever name', async () => {
  const home = temporaryFolder()
  const memories = openMemories({ home })
  const [one, other] = [join(home, 'one'), join(home, 'other')]
  await written(memories.open(one), [mission('flag', 'Add it')])
  expect(await recalled(memories.open(other), 'add')).toEqual({ items: [], facts: [] })
  expect(memories.open(`${home}/other/../one/`)).toBe(memories.open(one))
  await memories.close()
})
