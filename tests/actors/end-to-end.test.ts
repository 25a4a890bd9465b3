/**
 * The team end to end over real HTTP: engine, store, files and official client are the real ones, only the server plays a script. Live models: never called.
 * M9 and M10 by their names.
 */
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseTask } from '../../src/actors/task.ts'
import { teamMachines, teamTree } from '../../src/actors/team.ts'
import { createTroupe } from '../../src/actors/troupe.ts'
import type { ModelRef } from '../../src/machines/models.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import type { Exchange, Script } from '../wire/exchange.ts'
import { playing } from '../wire/play.ts'
import type { Seen } from '../wire/server.ts'
import { providerOf, sameForAll, serverOf, wiredModel } from './wired.ts'

let home = ''
beforeEach(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'troupe-e2e-')))
})
afterEach(async () => {
  for (const end of open.splice(0)) await end()
  await rm(home, { recursive: true, force: true })
})
/** Ends what a test has started, before its folder goes. */
const open: (() => Promise<void>)[] = []

const HELLO = 'def hello_world():\n    print("hello")\n'
const ONE = `
work: [{id: hello, description: Write hello_world, phase: implementation, priority: 1}]
replies:
  - {agent: coder, turn: 1, tool_calls: [{name: write, args: {path: hello.py, content: ${JSON.stringify(HELLO)}}}]}
  - {agent: coder, turn: 2, tool_calls: [{name: done, args: {summary: Wrote hello_world.}}]}
  - {agent: reviewer, reply: {verdict: approved}}
`

interface Playing {
  readonly name?: string
  readonly chain?: (first: ModelRef) => readonly ModelRef[]
  readonly script?: (script: (request: Seen) => Promise<Exchange>) => Script
}

/** One team on a folder of its own, before a server of its own. */
async function start(yaml: string, { name = 'project', chain = (first) => [first], script = (plain) => plain }: Playing = {}) {
  const dir = join(home, name)
  await mkdir(dir)
  await writeFile(join(dir, 'README'), 'a project\n')
  const task = parseTask(`goal: Say hello.\nworkspace: {mode: copy}\n${yaml}`, 'task.yaml')
  const server = await serverOf('anthropic', script(playing(task.replies)))
  const store = sqliteStore({ path: join(home, `${name}.db`) })
  const troupe = createTroupe({
    store,
    machines: teamMachines,
    providers: { anthropic: providerOf('anthropic', server.url) },
    workDir: join(home, `${name}-work`),
  })
  const { tree, input } = teamTree(task, { dir, models: sameForAll(chain(wiredModel('anthropic'))) })
  const session = await troupe.start(tree, { input })
  open.push(async () => {
    await session.stop()
    troupe.close()
    await server.close()
  })
  const facts = (type: string) => store.journal(session.id, 0).filter((entry) => entry.type === type)
  return { dir, session, server, store, facts, paid: () => server.log.filter(({ path }) => path === '/v1/messages').length }
}
const written = (dir: string, file: string): Promise<string> => readFile(join(dir, file), 'utf8')
const statusOf = async (session: RunSession): Promise<string> => (await session.done()).status

test('M9: spawn and registration: every agent of the team has started, is supervised, and answers by its address', async () => {
  const { session } = await start(ONE)
  await expect
    .poll(() => session.tree().children.map(({ address, machine }) => [address, machine]))
    .toEqual([
      ['/team/coder', 'coder'],
      ['/team/executor', 'executor'],
      ['/team/optimizer', 'optimizer'],
      ['/team/orchestrator', 'orchestrator'],
      ['/team/reviewer', 'reviewer'],
    ])
  expect(await session.ask('/team/coder', { type: 'task.assign', item: 'nonsense' } as never)).toMatchObject({ type: 'rejected' })
})

test('M9, M10: simple work is delegated to the coder, done, reviewed and promoted: the file has hello_world', async () => {
  const { session, dir, facts, paid } = await start(ONE)
  expect(await statusOf(session)).toBe('succeeded')
  expect(await written(dir, 'hello.py')).toContain('def hello_world')
  expect(facts('work.assigned').map(({ data }) => JSON.parse(data))).toEqual([{ item: 'hello', to: '/team/coder', round: 1 }])
  expect(paid()).toBe(3)
})

const ITEMS = ['one', 'two', 'three']
const MANY = `
work:
${ITEMS.map((id, index) => `  - {id: ${id}, description: Write ${id}${index === 0 ? '' : `, needs: [${ITEMS[index - 1]}]`}}`).join('\n')}
replies:
${ITEMS.map(
  (id) => `  - {agent: coder, item: ${id}, turn: 1, tool_calls: [{name: write, args: {path: ${id}.py, content: "def ${id}(): pass\\n"}}]}
  - {agent: coder, item: ${id}, turn: 2, tool_calls: [{name: done, args: {summary: ${id} is there.}}]}`,
).join('\n')}
  - {agent: reviewer, item: two, times: 1, reply: {verdict: needs_changes, feedback: [say more]}}
  - {agent: coder, item: two, match: say more, tool_calls: [{name: write, args: {path: two.py, content: "def two(): return 2\\n"}}]}
  - {agent: coder, item: two, turn: 4, tool_calls: [{name: done, args: {summary: two says more.}}]}
  - {agent: reviewer, reply: {verdict: approved}}
`

test('M10: complex work of several items, one of which is sent back, ends with all of them and the evidence of each', async () => {
  const { session, dir, facts } = await start(MANY)
  expect(await statusOf(session)).toBe('succeeded')
  expect(await Promise.all(ITEMS.map((id) => written(dir, `${id}.py`)))).toEqual([
    'def one(): pass\n',
    'def two(): return 2\n',
    'def three(): pass\n',
  ])
  expect(facts('review.given').map(({ data }) => JSON.parse(data).verdict)).toEqual(['approved', 'needs_changes', 'approved', 'approved'])
})

test('M10: an API that fails is asked again, then another model is: the work is done, and each failure is on record', async () => {
  const flaky =
    (plain: (request: Seen) => Promise<Exchange>): Script =>
    async (request, nth) =>
      nth <= 2 ? { fault: { kind: 'status', status: 500 } } : nth === 3 ? { fault: { kind: 'status', status: 529 } } : plain(request)
  const chain = (first: ModelRef) => [first, { ...first, alias: 'second', quotaGroup: 'second' }]
  const { session, dir, facts, paid } = await start(ONE, { chain, script: flaky })
  expect(await statusOf(session)).toBe('succeeded')
  expect(await written(dir, 'hello.py')).toContain('def hello_world')
  expect(facts('retry.scheduled').map(({ data }) => JSON.parse(data).code)).toEqual(['E_PROVIDER_UNREACHABLE', 'E_PROVIDER_UNREACHABLE'])
  expect(facts('model.switched').map(({ data }) => JSON.parse(data))).toMatchObject([{ to: 'second', reason: 'E_PROVIDER_OVERLOADED' }])
  expect(paid()).toBe(6)
})

test('M9, M10: teams at work at the same time do not meet: each has its files, its journal and its bill', async () => {
  const teams = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => start(ONE.replaceAll('hello_world', `hello_${name}`), { name })))
  expect(await Promise.all(teams.map(({ session }) => statusOf(session)))).toEqual(Array(5).fill('succeeded'))
  for (const [index, { dir, paid, store, session }] of teams.entries()) {
    expect(await written(dir, 'hello.py')).toContain(`def hello_${'abcde'[index]}`)
    expect(paid()).toBe(3)
    expect(store.effects(session.id).filter(({ usage }) => usage !== null)).toHaveLength(3)
  }
})

test('M9: what goes wrong has a code and words, and a team that is stopped ends cleanly and leaves nothing open', async () => {
  const refused = await start(ONE, { name: 'refused', script: () => () => ({ fault: { kind: 'status', status: 401 } }) })
  expect(await refused.session.done()).toMatchObject({ status: 'failed', reason: { code: 'E_CREDENTIALS_REJECTED' } })
  const silent = await start(ONE, { name: 'silent', script: () => () => ({ fault: { kind: 'hang', after: 0 } }) })
  await expect.poll(() => silent.paid()).toBe(1)
  await silent.session.stop()
  expect((await silent.session.done()).status).toBe('interrupted')
  await expect.poll(() => silent.server.log.at(-1)?.ended).toBe('client')
})
