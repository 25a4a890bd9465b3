/** The whole team on the real engine, store, files and processes; only the model is scripted. */
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { teamEffects } from '../../src/actors/effects.ts'
import { scripted } from '../../src/actors/providers/scripted.ts'
import { parseTask, type Task, taskFromText } from '../../src/actors/task.ts'
import { teamMachines, teamTree } from '../../src/actors/team.ts'
import { createTroupe } from '../../src/actors/troupe.ts'
import type { Json } from '../../src/json.ts'
import type { Outcome } from '../../src/machines/ledger.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'

const TASK = `
goal: The program says hello.
provider: scripted
workspace: {mode: copy}
gates: {checks: [{id: says, run: '"$NODE" check.mjs', timeout: 20s}]}
work: [{id: hello, description: Say hello instead of nothing}]
replies:
  - {agent: coder, turn: 1, tool_calls: [{name: read, args: {path: says.txt}}, {name: edit, args: {path: says.txt, old: nothing, new: hi}}]}
  - {agent: coder, turn: 2, reply: It says hi.}
  - {agent: coder, turn: 3, match: WORKFLOW FAILURE, tool_calls: [{name: write, args: {path: says.txt, content: "hello"}}]}
  - {agent: coder, turn: 4, tool_calls: [{name: done, args: {summary: It says hello.}}]}
  - {agent: reviewer, turn: 1, reply: {verdict: needs_changes, feedback: [End the line.]}, delay: 100ms}
  - {agent: coder, turn: 5, match: End the line, tool_calls: [{name: write, args: {path: says.txt, content: "hello\\n"}}]}
  - {agent: coder, turn: 6, tool_calls: [{name: done, args: {summary: It says hello and ends the line.}}]}
  - {agent: reviewer, turn: 2, reply: {verdict: approved}}
`
const CHECK = `import { readFileSync } from 'node:fs'
if (!readFileSync('says.txt', 'utf8').startsWith('hello')) { console.log('expected hello'); process.exit(1) }
`

let home = ''
let dir = ''
beforeEach(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'troupe-team-')))
  dir = join(home, 'project')
  await mkdir(dir)
  await writeFile(join(dir, 'says.txt'), 'nothing\n')
  await writeFile(join(dir, 'check.mjs'), CHECK)
})
afterEach(() => rm(home, { recursive: true, force: true }))

function open(task: Task, machines: typeof teamMachines = teamMachines) {
  const store = sqliteStore({ path: join(home, 'troupe.db') })
  const { handlers } = teamEffects({ provider: scripted(task.replies), root: join(home, 'work') })
  return { store, troupe: createTroupe({ store, machines, effects: handlers }) }
}

async function start(task: Task, machines: typeof teamMachines = teamMachines, timeouts = {}) {
  const opened = open(task, machines)
  const { tree, input, budget, name } = teamTree(task, { dir })
  const children = tree.children.map((child) => ('src' in child ? { ...child, input: withTimeouts(child.input, timeouts) } : child))
  return { ...opened, session: await opened.troupe.start({ ...tree, children }, { input, budget, name }) }
}

const withTimeouts = (input: Json | undefined, timeouts: Json): Json | undefined =>
  typeof input === 'object' && input !== null && 'peers' in input ? { ...input, timeouts } : input

const outcomeOf = (output: unknown): Outcome => output as Outcome
const task = (): Task => parseTask(TASK.replace('"$NODE"', `"${process.execPath}"`), 'task.yaml')
const says = (): Promise<string> => readFile(join(dir, 'says.txt'), 'utf8')

test('a team mends a folder: a failed gate and a reviewer send it back, and what both accept is promoted (M10)', async () => {
  const { troupe, session, store } = await start(task())
  const { status, output, usage } = await session.done()
  const outcome = outcomeOf(output)
  expect({ status, simulated: usage.simulated, outcome: { ...outcome, tree: '', verification: outcome.verification.level } }).toEqual({
    status: 'succeeded',
    simulated: true,
    outcome: {
      status: 'done',
      summary: 'It says hello and ends the line.',
      verification: 'verified',
      promoted: true,
      tree: '',
      files: ['says.txt'],
      added: 1,
      removed: 1,
      work: [{ id: 'hello', status: 'done', actor: '/team/coder', attempts: 3, summary: 'It says hello and ends the line.' }],
      error: null,
      reasons: [],
    },
  })
  expect({ says: await says(), files: (await readdir(dir)).sort() }).toEqual({ says: 'hello\n', files: ['check.mjs', 'says.txt'] })
  const roles = store.thread(session.id, '/team/coder/hello').map((message) => (message as { role: string }).role)
  expect(roles).toEqual([
    ...['system', 'user', 'assistant', 'tool', 'tool', 'assistant'],
    ...['user', 'assistant', 'tool', 'assistant', 'tool', 'user', 'assistant', 'tool', 'assistant', 'tool'],
  ])
  const types = store.journal(session.id, 0).map((entry) => entry.type)
  expect(types.filter((type) => /^(work|change|gate|review)\./.test(type))).toEqual([
    ...['work.accepted', 'work.assigned', 'change.staged', 'gate.failed'],
    ...['work.assigned', 'change.staged', 'gate.passed', 'review.given'],
    ...['work.assigned', 'change.staged', 'gate.passed', 'review.given', 'work.finished', 'change.promoted'],
  ])
  troupe.close()
})

test('a run that is stopped at its first review goes on from its store with the same answers, and writes nothing twice (S10, P1)', async () => {
  const first = await start(task())
  await reached(first.session, 'effect.started', '/team/reviewer')
  await first.session.stop()
  first.troupe.close()
  expect(await says()).toBe('nothing\n')

  const { troupe, store } = open(task())
  const resumed = await troupe.resume(first.session.id)
  const { status, output } = await resumed.done()
  expect({ status, summary: outcomeOf(output).summary, says: await says() }).toEqual({
    status: 'succeeded',
    summary: 'It says hello and ends the line.',
    says: 'hello\n',
  })
  const writes = store.effects(resumed.id).filter((effect) => effect.kind === 'file.write')
  expect(writes.map(({ status, attempt }) => ({ status, attempt }))).toEqual(Array(3).fill({ status: 'succeeded', attempt: 1 }))
  troupe.close()
})

test('an unmatched request ends the run with E_SCRIPT_MISS and leaves the folder alone', async () => {
  const { troupe, session } = await start({ ...task(), replies: task().replies.slice(0, 3) })
  const { output } = await session.done()
  const { status, error, promoted } = outcomeOf(output)
  expect({ status, code: error?.code, message: error?.message, promoted, says: await says() }).toEqual({
    status: 'failed',
    code: 'E_SCRIPT_MISS',
    message: 'no scripted reply matches coder, item hello, turn 4',
    promoted: false,
    says: 'nothing\n',
  })
  troupe.close()
})

test('a goal with nothing configured fails with a clear reason, and nothing is made up', async () => {
  const { troupe, session } = await start(taskFromText('Add a flag'))
  const { output } = await session.done()
  expect(outcomeOf(output).error?.message).toBe(
    'no replies are scripted and no model is configured: no scripted reply matches orchestrator, item -, turn 1',
  )
  troupe.close()
})

test('a transient failure of the model is tried again by the engine, and the run goes on (M10: API fail, retry)', async () => {
  const failing = `${TASK.replace('replies:', 'replies:\n  - {agent: coder, turn: 1, times: 1, error: {code: E_PROVIDER_TIMEOUT, retry: backoff}}')}`
  const { troupe, session, store } = await start(parseTask(failing.replace('"$NODE"', `"${process.execPath}"`), 'task.yaml'))
  const { status } = await session.done()
  const generate = store.effects(session.id).find((effect) => effect.kind === 'llm.generate')
  expect({ status, effect: generate?.status, attempt: generate?.attempt }).toEqual({ status: 'succeeded', effect: 'succeeded', attempt: 2 })
  troupe.close()
})

test('work that does not fit is rejected by the orchestrator itself, whoever started the tree (M7)', async () => {
  const { troupe, session } = await start({
    ...task(),
    work: [{ id: 'a', description: 'A', phase: 'docs', priority: 3, needs: ['b'], files: [] }],
  })
  const { output } = await session.done()
  expect({ status: outcomeOf(output).status, reasons: outcomeOf(output).reasons }).toEqual({
    status: 'rejected',
    reasons: ["work.a.needs: there is no item 'b'"],
  })
  troupe.close()
})

test('arguments that do not fit a tool, and paths that leave the workspace, are told to the model', async () => {
  const replies = `
  - {agent: coder, turn: 1, tool_calls: [{name: read, args: {file: x}}, {name: read, args: {path: ../troupe.db}}, {name: write, args: {path: /etc/passwd, content: x}}]}
  - {agent: "*", reply: stop}
`
  const strange = parseTask(TASK.replace(/replies:[\s\S]*/, `replies:${replies}`), 'task.yaml')
  const { troupe, session, store } = await start({ ...strange, gates: { level: 'off', checks: [] } })
  await session.done()
  const told = store.thread(session.id, '/team/coder/hello').flatMap((message) => {
    const { role, content } = message as { role: string; content: string }
    return role === 'tool' ? [content] : []
  })
  expect(told.map((content) => content.slice(0, content.indexOf(']') + 1))).toEqual([
    'error[E_USAGE]',
    'error[E_WRITE_REFUSED]',
    'error[E_WRITE_REFUSED]',
  ])
  troupe.close()
})

test('a coder that crashes on an answer is restarted from its checkpoint, asks the model again, and goes on where it stood', async () => {
  let crashes = 1
  const hasCalls = (_: unknown, { message }: { message: { toolCalls?: unknown[] | undefined } }): boolean => {
    if (message.toolCalls?.length === 1 && crashes-- > 0) throw new Error('planted')
    return (message.toolCalls ?? []).length > 0
  }
  const machines = { ...teamMachines, coder: teamMachines.coder.provide({ guards: { hasCalls } }) as typeof teamMachines.coder }
  const { troupe, session, store } = await start(task(), machines, { coderMs: 3_000 })
  const { status, output, usage } = await session.done()
  expect({ status, restarts: usage.restarts, work: outcomeOf(output).work.map(({ attempts }) => attempts), says: await says() }).toEqual({
    status: 'succeeded',
    restarts: 1,
    work: [3],
    says: 'hello\n',
  })
  const asked = store.journal(session.id, 0).filter((entry) => entry.type === 'work.assigned')
  expect(asked.map((entry) => (JSON.parse(entry.data) as { round: number }).round)).toEqual([1, 2, 3])
  troupe.close()
})

/** Waits for a fact of the run. */
async function reached(session: RunSession, type: string, path: string): Promise<void> {
  const seen: string[] = []
  for await (const frame of session.watch({ since: 0 })) {
    seen.push(frame.type)
    if (frame.type === type && frame.path === path) return
  }
  throw new Error(`the run ended before ${type} of ${path}; it was: ${seen.join(' ')}`)
}
