/** A team that goes in circles or runs out of time, on the real engine, store and files; only the model is scripted. */
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { teamEffects } from '../../src/actors/effects.ts'
import { scripted } from '../../src/actors/providers/scripted.ts'
import { parseTask, type Task } from '../../src/actors/task.ts'
import { teamMachines, teamTree } from '../../src/actors/team.ts'
import { createTroupe } from '../../src/actors/troupe.ts'
import { exitOf } from '../../src/catalogue.ts'
import type { Outcome } from '../../src/machines/ledger.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'

let home = ''
let dir = ''
beforeEach(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'troupe-loops-')))
  dir = join(home, 'project')
  await mkdir(dir)
  await writeFile(join(dir, 'says.txt'), 'nothing\n')
})
afterEach(() => rm(home, { recursive: true, force: true }))

const task = (rest: string): Task => parseTask(`goal: Say hello.\nprovider: scripted\nworkspace: {mode: copy}\n${rest}`, 'task.yaml')

function open(given: Task) {
  const store = sqliteStore({ path: join(home, 'troupe.db') })
  const { handlers } = teamEffects({ provider: scripted(given.replies), root: join(home, 'work') })
  const troupe = createTroupe({ store, machines: teamMachines, effects: handlers })
  const facts = (run: string, ...types: string[]): { type: string; path: string | null; [key: string]: unknown }[] =>
    store.journal(run, 0).flatMap(({ type, path, data }) => (types.includes(type) ? [{ type, path, ...JSON.parse(data) }] : []))
  return { store, troupe, facts }
}

async function start(given: Task) {
  const opened = open(given)
  const { tree, input, budget, name } = teamTree(given, { dir })
  return { ...opened, session: await opened.troupe.start(tree, { input, budget, name }) }
}

async function finished(session: RunSession) {
  const { status, output, reason, usage } = await session.done()
  return { status, outcome: output as unknown as Outcome, code: reason?.code ?? null, restarts: usage.restarts }
}

const READ = 'tool_calls: [{name: read, args: {path: says.txt}}]'
const WRITE = (path: string, content: string) => `tool_calls: [{name: write, args: {path: ${path}, content: ${content}}}]`

test('a coder in circles is ended, restarted by its supervisor, asked again in a new conversation, and the work is done (P4)', async () => {
  const { troupe, session, store, facts } = await start(
    task(`
replies:
  - {agent: coder, match: You begin anew, ${WRITE('says.txt', 'hello')}}
  - {agent: coder, match: wrote says, reply: It says hello.}
  - {agent: coder, ${READ}}
  - {agent: reviewer, reply: {verdict: approved}}
work: [{id: hello, description: Say hello, deadline: 10m}]
`),
  )
  const { status, outcome, restarts } = await finished(session)
  expect({
    status,
    restarts,
    work: outcome.work.map((record) => record.status),
    says: await readFile(join(dir, 'says.txt'), 'utf8'),
  }).toEqual({
    status: 'succeeded',
    restarts: 1,
    work: ['done'],
    says: 'hello',
  })
  const story = facts(session.id, 'loop.detected', 'problem.escalated', 'actor.restarted', 'work.assigned')
  expect(story.map(({ type, path, did, to, from, round }) => [type, path, did ?? from ?? (type === 'work.assigned' ? round : to)])).toEqual(
    [
      ['work.assigned', '/team/orchestrator', 1],
      ['loop.detected', '/team/coder', 'blocked'],
      ['loop.detected', '/team/coder', 'escalated'],
      ['problem.escalated', '/team/coder', 'supervisor'],
      ...(story[4]?.type === 'actor.restarted' ? [RESTARTED, ESCALATED, ASSIGNED] : [ESCALATED, ASSIGNED, RESTARTED]),
    ],
  )
  const deadline = facts(session.id, 'timer.set', 'timer.cleared', 'change.promoted').filter(({ id }) => id === undefined || id === 'item')
  expect(deadline.map(({ type }) => type)).toEqual(['timer.set', 'timer.cleared', 'change.promoted'])
  const roles = (thread: string): readonly string[] => store.thread(session.id, thread).map((message) => (message as { role: string }).role)
  expect(roles('/team/coder/hello')).toEqual(['system', 'user', ...Array(4).fill(['assistant', 'tool']).flat()])
  expect(roles('/team/coder/hello~2')).toEqual(['system', 'user', 'user', 'assistant', 'tool', 'assistant'])
  troupe.close()
})
const RESTARTED = ['actor.restarted', '/team/coder', 'initial']
const ESCALATED = ['problem.escalated', '/team/orchestrator', 'orchestrator']
const ASSIGNED = ['work.assigned', '/team/orchestrator', 1]

test('a second coder in circles is for a person: the run fails with E_LOOP_ESCALATED and exit code 7 (P5)', async () => {
  const { troupe, session, facts } = await start(task(`replies: [{agent: coder, ${READ}}]\nwork: [{id: hello, description: Say hello}]\n`))
  const { status, code, restarts } = await finished(session)
  expect({ status, code, exit: exitOf(code ?? ''), calls: restarts }).toEqual({
    status: 'failed',
    code: 'E_LOOP_ESCALATED',
    exit: 7,
    calls: expect.toSatisfy((count: number) => count === 1 || count === 2),
  })
  expect(facts(session.id, 'problem.escalated').map(({ to, code }) => `${to} ${code}`)).toEqual([
    'supervisor E_LOOP_ESCALATED',
    'orchestrator E_LOOP_ESCALATED',
    'supervisor E_LOOP_ESCALATED',
    'person E_LOOP_ESCALATED',
  ])
  troupe.close()
})

test('R1.3: what was sent back is known after the process: the second identical feedback escalates in the process that resumed', async () => {
  const given = task(`
replies:
  - {agent: coder, turn: 1, ${WRITE('says.txt', 'one')}}
  - {agent: coder, turn: 3, ${WRITE('says.txt', 'two')}}
  - {agent: coder, reply: It says something.}
  - {agent: reviewer, turn: 2, reply: {verdict: needs_changes, feedback: [END the line.]}, delay: 100ms}
  - {agent: reviewer, reply: {verdict: needs_changes, feedback: [End  the line.]}}
work: [{id: hello, description: Say hello}]
`)
  const first = await start(given)
  await reached(first.session, 2, 'effect.started', '/team/reviewer')
  await first.session.stop()
  first.troupe.close()
  const { troupe, facts } = open(given)
  const resumed = await troupe.resume(first.session.id)
  const { status, code } = await finished(resumed)
  expect({ status, code }).toEqual({ status: 'failed', code: 'E_LOOP_ESCALATED' })
  expect(facts(resumed.id, 'loop.detected').map(({ kind, count, item }) => ({ kind, count, item }))).toEqual([
    { kind: 'identical', count: 2, item: 'hello' },
  ])
  troupe.close()
})

const LATE = `
replies:
  - {agent: coder, item: slow, turn: 1, ${WRITE('slow.txt', 'half')}}
  - {agent: coder, item: slow, reply: never, delay: 10m}
  - {agent: coder, turn: 1, ${WRITE('says.txt', 'hello')}}
  - {agent: coder, reply: It says hello.}
  - {agent: reviewer, reply: {verdict: approved}}
work:
  - {id: slow, description: Takes long, priority: 9, deadline: 700ms}
  - {id: after, description: Needs it, priority: 8, needs: [slow]}
  - {id: hello, description: Say hello, deadline: 10m}
`
test.each(['one process', 'a process that is stopped before the deadline and one that resumes'])(
  'an item whose time is up is recorded with what there is, in %s; the others go on and are kept (P8)',
  async (where) => {
    const given = task(LATE)
    let { troupe, session, facts } = await start(given)
    if (where !== 'one process') {
      await reached(session, 2, 'effect.started', '/team/coder', 'llm.generate')
      await session.stop()
      troupe.close()
      ;({ troupe, facts } = open(given))
      session = await troupe.resume(session.id)
    }
    const { status, code, outcome } = await finished(session)
    const message = 'work item slow was not finished within its 700 ms'
    expect({ status, code, error: outcome.error?.message, promoted: outcome.promoted }).toEqual({
      status: 'failed',
      code: 'E_LIMIT_TIME',
      error: message,
      promoted: false,
    })
    expect(outcome.work.map(({ id, status, partial }) => ({ id, status, partial }))).toEqual([
      { id: 'slow', status: 'timed_out', partial: { files: ['slow.txt'], turn: 1 } },
      { id: 'after', status: 'not_started', partial: undefined },
      { id: 'hello', status: 'done', partial: undefined },
    ])
    expect(facts(session.id, 'work.finished').map(({ item, status }) => `${item} ${status}`)).toEqual([
      'slow timed_out',
      'after not_started',
      'hello done',
    ])
    expect(await readFile(join(dir, 'says.txt'), 'utf8')).toBe('nothing\n')
    troupe.close()
  },
)

/** Waits for the `nth` fact of this type and path, of an effect of this kind. */
async function reached(session: RunSession, nth: number, type: string, path: string, kind?: string): Promise<void> {
  const seen: string[] = []
  let count = 0
  for await (const frame of session.watch({ since: 0 })) {
    seen.push(frame.type)
    const fits = kind === undefined || (frame.data as { kind?: string }).kind === kind
    if (frame.type === type && frame.path === path && fits && ++count === nth) return
  }
  throw new Error(`the run ended before ${type} of ${path}; it was: ${seen.join(' ')}`)
}
