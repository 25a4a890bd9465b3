/** The gate only admits (A13): with it and without it the same seed gives the same results, byte by byte. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { teamEffects } from '../../src/actors/effects.ts'
import { gatedBy } from '../../src/actors/gated.ts'
import { type Gates, providerGates } from '../../src/actors/provider-gate.ts'
import { scripted } from '../../src/actors/providers/scripted.ts'
import { parseTask } from '../../src/actors/task.ts'
import { teamMachines, teamTree } from '../../src/actors/team.ts'
import { createTroupe } from '../../src/actors/troupe.ts'
import type { EffectHandler } from '../../src/effect.ts'
import type { GenerateInput, GenerateOutput } from '../../src/machines/effects.ts'
import { systemClock } from '../../src/runtime/clocks/system.ts'
import { localEngine } from '../../src/runtime/engines/local.ts'
import { memoryStore } from '../../src/runtime/stores/memory.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { Chance, virtualClock } from '../../src/testing.ts'
import { type Fact, factsOf, temporaryFolder } from '../harness.ts'
import { answer, caller, gatedHandler, toldBy } from './gated-calls.ts'

const TASK = `
goal: The program says hello.
provider: scripted
workspace: {mode: copy}
gates: {checks: [{id: says, run: '"${process.execPath}" check.mjs', timeout: 20s}]}
work: [{id: hello, description: Say hello instead of nothing}, {id: bye, description: Say bye in bye.txt}]
replies:
  - {agent: coder, item: hello, turn: 1, tool_calls: [{name: read, args: {path: says.txt}}, {name: edit, args: {path: says.txt, old: nothing, new: hello}}]}
  - {agent: coder, item: hello, turn: 2, tool_calls: [{name: done, args: {summary: It says hello.}}]}
  - {agent: coder, item: bye, turn: 1, tool_calls: [{name: write, args: {path: bye.txt, content: "bye\\n"}}]}
  - {agent: coder, item: bye, turn: 2, tool_calls: [{name: done, args: {summary: It says bye.}}]}
  - {agent: reviewer, reply: {verdict: approved}}
`
const CHECK = `import { readFileSync } from 'node:fs'
if (!readFileSync('says.txt', 'utf8').startsWith('hello')) process.exit(1)
`

/** What happened to each actor, in its order, without times and names of folders and runs. Positions differ where other actors came in between. */
function told(facts: readonly Fact[], names: readonly [string, string][]): string {
  const lines = facts.map(({ type, path, inc, data }) => {
    const { now: _, seed: __, hash: ___, durationMs: ____, at: _____, startedAt: ______, ...rest } = data as Record<string, never>
    return `${path} ${inc} ${type} ${JSON.stringify(rest)}`
  })
  const text = lines.map((line) => names.reduce((known, [from, to]) => known.replaceAll(from, to), line))
  return text.toSorted((a, b) => (a.split(' ')[0]! < b.split(' ')[0]! ? -1 : a.split(' ')[0]! > b.split(' ')[0]! ? 1 : 0)).join('\n')
}

async function team(gates: Gates | null) {
  const home = temporaryFolder()
  const dir = join(home, 'project')
  await mkdir(dir)
  await writeFile(join(dir, 'says.txt'), 'nothing\n')
  await writeFile(join(dir, 'check.mjs'), CHECK)
  const task = parseTask(TASK, 'task.yaml')
  const store = sqliteStore({ path: join(home, 'troupe.db') })
  const { handlers } = teamEffects({ provider: scripted(task.replies), root: join(home, 'work') })
  const inner = handlers['llm.generate'] as EffectHandler<GenerateInput, GenerateOutput>
  const gated = gates === null ? inner : gatedBy(gates, inner)
  const troupe = createTroupe({ store, machines: teamMachines, effects: { ...handlers, 'llm.generate': gated } })
  const { tree, input, budget, name } = teamTree(task, { dir })
  const session = await troupe.start(tree, { input, budget, name })
  const { status, output } = await session.done()
  const files = await Promise.all((await readdir(dir)).toSorted().map(async (file) => [file, await readFile(join(dir, file), 'utf8')]))
  const noted = factsOf(store, session.id).filter(({ type }) =>
    /^(work|change|gate|review|run\.finished|message|effect\.(owed|succeeded|failed))/.test(type),
  )
  const types = told(
    noted.map(({ data: _, ...fact }) => ({ ...fact, data: {} })),
    [],
  )
  const { tree: __, ...outcome } = output as Record<string, unknown>
  troupe.close()
  return { status, outcome: JSON.stringify(outcome).replaceAll(session.id, 'RUN').replaceAll(home, 'HOME'), files, types }
}

test('A13: a team with a gate of one permit ends with the same output, the same files and the same facts as without one', async () => {
  const off = await team(null)
  const gates = providerGates({ clock: systemClock, settings: () => ({ concurrency: 1, requestsPerMinute: 6_000 }) })
  const on = await team(gates)
  expect(on).toEqual(off)
  expect(off.status).toBe('succeeded')
  expect(gates.metrics('default')).toMatchObject({ depth: 0, inflight: 0, submitted: 6, completed: 6 })
}, 30_000)

/** Eight actors in random times of one seed. Each is told what it is told whoever comes before it. */
async function crowd(seed: number, concurrency: number | null) {
  const chance = new Chance(seed)
  const clock = virtualClock({ random: () => chance.next() })
  const gates = concurrency === null ? null : providerGates({ clock, settings: () => ({ concurrency }) })
  const generate = async ({ agent, turn }: { agent: string; turn: number }) => {
    await new Promise<void>((resolve) => void clock.setTimer(50 + ((seed * turn * 37) % 400), resolve))
    return answer(`${agent}, turn ${turn} of seed ${seed}`)
  }
  const store = memoryStore()
  const troupe = createTroupe({
    engine: localEngine({ store, clock }),
    machines: { caller },
    effects: { 'llm.generate': gatedHandler({ generate }, gates) },
  })
  const children = Array.from({ length: 8 }, (_, n) => ({
    id: `c${n}`,
    src: 'caller',
    restart: 'transient' as const,
    significant: true,
    input: { name: `c${n}`, calls: 3 },
  }))
  const session = await troupe.start({ id: 'top', autoShutdown: 'all_significant', children })
  await clock.advance(60_000)
  const facts = factsOf(store, session.id).filter(({ path }) => path !== null && path !== '/top')
  return { facts, run: session.id, told: toldBy(store, session.id) }
}

test.each([1, 2, 3])(
  'A13: with seed %i a crowd is told the same with one permit, with enough of them, and without a gate',
  async (seed) => {
    const [off, wide, narrow] = await Promise.all([crowd(seed, null), crowd(seed, 100), crowd(seed, 1)])
    expect(Object.values(off.told).flat()).toHaveLength(24)
    expect(JSON.stringify(wide.told)).toBe(JSON.stringify(off.told))
    expect(JSON.stringify(narrow.told)).toBe(JSON.stringify(off.told))
    // A gate at which nobody has to wait leaves no trace at all: the whole journal is the same.
    expect(told(wide.facts, [[wide.run, 'RUN']])).toBe(told(off.facts, [[off.run, 'RUN']]))
  },
)
