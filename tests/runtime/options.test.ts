/** What a program says of a run as it starts or resumes one: what would be lost, changed or no limit at all is refused by name, and nothing is stored. */
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { createTroupe } from '../../src/actors/troupe.ts'
import type { ResumeOptions, StartOptions } from '../../src/runtime/engine.ts'
import { memoryStore } from '../../src/runtime/stores/memory.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { openLife, temporaryFolder, VirtualClock } from '../harness.ts'

const alive = setup({}).createMachine({ id: 'alive' })
const machines = { alive }
const tree = { id: 'top', children: [{ id: 'one', src: 'alive' }] }

const NUMBERS: readonly (readonly [value: unknown, shown: string])[] = [
  [Number.NaN, 'NaN'],
  [Number.POSITIVE_INFINITY, 'Infinity'],
  [-1, '-1'],
  ['500', '"500"'],
  [null, 'null'],
]
const LIMITS = NUMBERS.flatMap(([value, shown]) => [
  [{ budget: { tokensMax: value } }, `budget.tokensMax cannot be ${shown}`, 'give a number from 0 on, or leave it out'] as const,
  [{ deadlineMs: value }, `deadlineMs cannot be ${shown}`, 'give a number from 0 on, or leave it out'] as const,
])
const BUDGET = [{ budget: 1_000 }, 'budget cannot be 1000', 'give { tokensMax: 200_000 }, or leave it out'] as const

const TEXTS = (['id', 'name', 'project'] as const).flatMap((field) =>
  [
    [7, '7'],
    [{}, 'an object'],
    [true, 'a boolean'],
    ['\ud800', '"\\ud800"'],
  ].map(([value, shown]) => [{ [field]: value }, `${field} cannot be ${shown}`, 'give it as text, or leave it out'] as const),
)

/** What is thrown at the person, as far as it is told. */
async function refusal(work: Promise<unknown>): Promise<unknown> {
  const error = await work.then(
    () => ({ code: 'nothing was thrown', message: '', options: {} }),
    (thrown: { code: string; message: string; options?: { where: string; fix: string; exit: number } }) => thrown,
  )
  const { where, fix, exit } = (error.options ?? {}) as { where?: string; fix?: string; exit?: number }
  return { code: error.code, message: error.message, where, fix, exit }
}

const started = LIMITS.map(([options, message, fix]) => [options, message, `${fix} for none`] as const)
test.each([...TEXTS, ...started, BUDGET])('a start with %j is refused: %s', async (options, message, fix) => {
  for (const store of [memoryStore(), sqliteStore({ path: ':memory:' })]) {
    const troupe = createTroupe({ store, machines })
    expect(await refusal(troupe.start(tree, options as StartOptions))).toEqual({ code: 'E_USAGE', message, where: 'start', fix, exit: 2 })
    expect(store.runs()).toEqual([])
    troupe.close()
  }
})

test('what is left out, null for a text, and 0 for a limit are taken as they are', async () => {
  const { troupe, store } = openLife(temporaryFolder(), { machines, clock: new VirtualClock(), quarantine: true })
  const session = await troupe.start(tree, { id: 'own', name: null, project: null, budget: {} })
  const other = await troupe.start(tree, { id: 'second', name: '7', project: '/p', budget: { tokensMax: 0 }, deadlineMs: 0.5 })
  expect(store.runs().map(({ run, name, project, limits }) => ({ run, name, project, limits }))).toEqual([
    { run: 'second', name: '7', project: '/p', limits: { tokensMax: 0, deadlineAt: 0.5 } },
    { run: 'own', name: null, project: null, limits: { tokensMax: null, deadlineAt: null } },
  ])
  await session.stop()
  await other.stop()
})

test('an input that is too large together is refused at the start, one that fits is given', async () => {
  const { troupe, store } = openLife(temporaryFolder(), { machines, clock: new VirtualClock() })
  const half = 'x'.repeat(2_000_000)
  expect(await refusal(troupe.start(tree, { input: [half, half] }))).toEqual({
    code: 'E_PAYLOAD_TOO_LARGE',
    message: 'input is 4000007 bytes, 4000000 are allowed',
    where: 'start',
    fix: 'pass a file name instead',
    exit: 2,
  })
  expect(store.runs()).toEqual([])
  const session = await troupe.start(tree, { input: [half] })
  expect(store.run(session.id)?.input).toEqual([half])
  await session.stop()
})

const resumed = LIMITS.map(([options, message, fix]) => [options, message, `${fix} for the one it has`] as const)
test.each([...resumed, BUDGET])('a resume with %j is refused: %s', async (options, message, fix) => {
  const { troupe, store } = openLife(temporaryFolder(), { machines, clock: new VirtualClock() })
  const session = await troupe.start(tree, { budget: { tokensMax: 10 }, deadlineMs: 10_000 })
  await session.stop()
  const before = store.run(session.id)
  const where = `run ${session.id}`
  expect(await refusal(troupe.resume(session.id, options as ResumeOptions))).toEqual({ code: 'E_USAGE', message, where, fix, exit: 2 })
  expect([store.run(session.id), store.isOwned(session.id)]).toEqual([before, false])
})
