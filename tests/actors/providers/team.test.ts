/** The demo's team on each adapter: the same script, played over the wire, does the same work as in the process. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Provider } from '../../../src/actors/provider.ts'
import { scripted } from '../../../src/actors/providers/scripted.ts'
import { parseTask } from '../../../src/actors/task.ts'
import { teamMachines, teamTree } from '../../../src/actors/team.ts'
import { createTroupe } from '../../../src/actors/troupe.ts'
import { modelRef } from '../../../src/machines/models.ts'
import type { StaticSupervisorSpec } from '../../../src/protocol.ts'
import { memoryStore } from '../../../src/runtime/stores/memory.ts'
import { playing } from '../../wire/play.ts'
import { PROVIDERS } from './fault-cases.ts'
import { MODELS, PATHS, providerOf, serverOf } from './fault-providers.ts'

const EXAMPLES = new URL('../../../examples/', import.meta.url).pathname
/** Without its gates: they are not about models. */
const TASK = parseTask(
  readFileSync(join(EXAMPLES, 'greeter.task.yaml'), 'utf8').replace(/^gates:\n(?: .*\n)+/m, 'workspace: {mode: copy}\n'),
  'task.yaml',
)
const REPLIES = TASK.replies.map((reply) => ({ ...reply, delayMs: 0 }))

/** Plays the task. @returns how it ended, the files as they are then, and the conversation of the coder. */
async function play(provider: Provider, model: string) {
  const home = mkdtempSync(join(tmpdir(), 'troupe-team-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  const dir = join(home, 'greeter')
  cpSync(join(EXAMPLES, 'greeter'), dir, { recursive: true })
  const store = memoryStore()
  const troupe = createTroupe({ store, machines: teamMachines, providers: { [provider.name]: provider }, workDir: join(home, 'work') })
  const chain = [modelRef.parse({ alias: 'it', provider: provider.name, model, contextTokens: 32_000, quotaGroup: 'it' })]
  const given = teamTree(TASK, { dir })
  const children = ((given.tree as StaticSupervisorSpec).children ?? []).map((child) =>
    'src' in child && child.src !== 'executor' ? { ...child, input: { ...(child.input as object), models: chain } as never } : child,
  )
  const session = await troupe.start({ ...given.tree, children } as StaticSupervisorSpec, { input: given.input })
  const result = await session.done()
  const said = store.thread(session.id, '/team/coder/plural').map((message) => plain(message as unknown as Said))
  troupe.close()
  return { status: result.status, reason: result.reason?.message ?? null, files: filesOf(dir), said }
}

interface Said {
  readonly role: string
  readonly content: string
  readonly toolCalls?: readonly { readonly name: string; readonly args: unknown }[]
}

/** Ids of calls are the provider's. */
const plain = ({ role, content, toolCalls = [] }: Said) => ({ role, content, calls: toolCalls.map(({ name, args }) => ({ name, args })) })

const filesOf = (dir: string) =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path.slice(dir.length), readFileSync(path, 'utf8')])
    .sort()

test.each(PROVIDERS)('M10: the demo through %s ends with the same files, after the same conversation', async (name) => {
  const server = await serverOf(name, playing(REPLIES))
  onTestFinished(() => server.close())
  const wired = await play(providerOf(name, server.url), MODELS[name])
  expect(wired).toEqual(await play(scripted(REPLIES), 'any'))
  expect(wired).toMatchObject({ status: 'succeeded', reason: null })
  expect(server.log.filter(({ path }) => path === PATHS[name])).toHaveLength(REPLIES.length)
})
