/** What a stored run goes on with when its machines have changed; what it does not is refused before anything happens, with the way out. */
import { expect, test } from 'vitest'
import type { Migration } from '../../src/runtime/migrations.ts'
import { definitionOf } from '../../src/runtime/versions.ts'
import { codeOf, factsOf, Killed, only, openLife, temporaryFolder, waitUntil } from '../harness.ts'
import { actors, first, killed, lone, next, refuses, second, told, toSecond } from './writers.ts'

test('a run whose machines are the same goes on without a word about them', async () => {
  const { folder, run } = await killed()
  const life = next(folder, first)
  const session = await life.troupe.resume(run)
  expect((await session.send('/top/a', { type: 'write', text: 'two' })).position).toBeGreaterThan(0)
  expect(session.recovery?.machines).toEqual([])
  expect(told(life, run)).toEqual([])
  expect(life.store.machines(run)).toEqual([
    { name: 'troupe.supervisor', version: expect.any(String), definition: expect.any(Object), cells: 1 },
    { name: 'writer', version: '1', definition: definitionOf(first), cells: 3 },
  ])
})

test('a machine that only has more goes on, and the journal says what is new; the next resume takes it for granted', async () => {
  const { folder, run, clock } = await killed()
  const config = first.config as unknown as { states: object }
  const more = lone({ ...config, states: { ...config.states, archive: {} } }, actors)
  const life = next(folder, more, undefined, clock)
  const session = await life.troupe.resume(run)
  const change = { machine: 'writer', from: '1', to: '1', actors: 3, differences: ['state `archive` is new'], verdict: 'compatible' }
  expect(session.recovery?.machines).toEqual([change])
  await clock.advance(5_000)
  expect([session.snapshot('/top/c')?.value, told(life, run)]).toEqual(['draft', [{ type: 'machine.changed', path: null, data: change }]])
  await life.kill(session)
  const again = next(folder, more, undefined, clock)
  expect((await again.troupe.resume(run)).recovery?.machines).toEqual([])
})

test('a version that was raised without need goes on, and its actors carry it', async () => {
  const { folder, run } = await killed()
  const raised = lone({ ...first.config, version: '1.1' }, actors)
  const life = next(folder, raised)
  const session = await life.troupe.resume(run)
  await session.send('/top/a', { type: 'write', text: 'two' })
  expect(session.tree().children.map(({ version }) => version)).toEqual(['1.1', '1.1', '1.1'])
  expect(life.store.machines(run).filter(({ cells }) => cells > 0)).toMatchObject([
    { name: 'troupe.supervisor' },
    { name: 'writer', version: '1.1', cells: 3 },
  ])
})

test('under the same version a machine that has lost a state is refused, with the actors that stand there', async () => {
  const stored = await killed()
  const life = next(stored.folder, lone({ ...second.config, version: '1' }))
  const error = await refuses(stored, life)
  expect({ code: error.code, message: error.message, ...error.options }).toEqual({
    code: 'E_MACHINE_CHANGED',
    message:
      'machine writer has changed and still says version 1: state `review` is gone; state `asking` is gone; `napping` has no after(5000) any more; ' +
      "the actor 'helper' is gone; the actor 'review' is gone; the machine takes migrated; `draft` does not take ask any more; " +
      '`draft` does not take review any more; `napping` has a new after(nap); /top/b stands in what is gone',
    where: `run ${stored.run}`,
    fix: "raise its `version`, and add createTroupe({ migrations: { 'writer': (old) => ({ value, context }) } }), or resume with the code that the run was started with",
    exit: 3,
    evidence: ['/top/b stands in review'],
    details: expect.objectContaining({
      machine: 'writer',
      from: '1',
      to: '1',
      gone: ['review', 'asking'],
      standing: [{ address: '/top/b', state: 'review' }],
    }),
  })
})

test('under another version it is refused where no migration leads there', async () => {
  const stored = await killed()
  const error = await refuses(stored, next(stored.folder, second, { '1.5': toSecond }))
  expect([error.code, error.message.split(':')[0]]).toEqual([
    'E_MACHINE_CHANGED',
    'machine writer has changed and is version 2, the run has 1, and no migration leads there',
  ])
})

test('a machine that is not registered any more is named with the actors that use it', async () => {
  const stored = await killed()
  const error = await refuses(stored, next(stored.folder, null))
  expect([error.code, error.message, error.options.exit]).toEqual([
    'E_MACHINE_UNKNOWN',
    "no machine 'writer' is registered; /top/a, /top/b, /top/c use it",
    3,
  ])
})

test.each<[string, Migration, string]>([
  [
    'throws',
    () => {
      throw new Error('no words')
    },
    'no words',
  ],
  ['gives nothing', (() => undefined) as unknown as Migration, 'it gave no object with `value` and `context`'],
  ['leaves an actor in a state that is gone', ({ context }) => ({ context }), 'it stands in `review`, and the machine has no such state'],
  [
    'puts it into a final state',
    () => ({ value: 'done' }),
    'it stands in a final state: an actor ends by a step, give an `event` that leads there',
  ],
  [
    'gives a context that cannot be stored',
    () => ({ value: 'draft', context: { since: new Map() } }),
    'context.since holds a Map: turn it into plain data first',
  ],
  [
    'gives an event that nobody may send',
    () => ({ value: 'draft', event: { type: 'xstate.stop' } }),
    'its event has no type that may be sent: xstate.stop',
  ],
])('a migration that %s is refused with the actor, and nothing is changed', async (_, migration, message) => {
  const stored = await killed()
  const mixed: Migration = (old) => (old.address === '/top/b' ? migration(old) : toSecond(old))
  const error = await refuses(stored, next(stored.folder, second, mixed))
  expect([error.code, error.message, error.options.details]).toEqual([
    'E_MIGRATION_FAILED',
    `the migration of /top/b from version 1 of writer failed: ${message}`,
    { machine: 'writer', from: '1', address: '/top/b', code: expect.any(String) },
  ])
})

test('a migration takes each actor over, in one commit; what no state holds any more is ended, and a second resume finds nothing to do', async () => {
  const { folder, run, clock } = await killed()
  const seen: unknown[] = []
  const migration: Migration = (old) => {
    seen.push(structuredClone(old))
    return toSecond(old)
  }
  const life = next(folder, second, migration, clock)
  const session = await life.troupe.resume(run)
  expect(session.recovery?.machines).toMatchObject([{ machine: 'writer', from: '1', to: '2', verdict: 'migrated', actors: 3 }])
  await clock.settled()
  expect(seen).toEqual([
    { version: '1', address: '/top/a', value: 'draft', context: { words: ['one'] }, historyValue: {} },
    { version: '1', address: '/top/b', value: 'review', context: { words: [] }, historyValue: {} },
    { version: '1', address: '/top/c', value: 'napping', context: { words: [] }, historyValue: {} },
  ])
  const views = session.tree().children
  expect(views.map(({ address, version, state, effects }) => [address, version, state, effects])).toEqual([
    ['/top/a', '2', 'draft', []],
    ['/top/b', '2', 'draft', []],
    ['/top/c', '2', 'napping', []],
  ])
  const facts = factsOf(life.store, run)
  const from = facts.findIndex(({ type }) => type === 'machine.changed')
  expect(facts.slice(from, from + 9).map(({ type, path }) => `${type} ${path}`)).toEqual([
    'machine.changed null',
    'actor.migrated /top/a',
    'actor.migrated /top/b',
    'timer.cleared /top/b',
    'effect.cancelled /top/b',
    'actor.migrated /top/c',
    'timer.cleared /top/c',
    'step.committed /top/c',
    'timer.set /top/c',
  ])
  // They go on: with the context of the second version, and on its delays.
  await session.send('/top/a', { type: 'write', text: 'two' })
  await clock.advance(5_000)
  expect(['/top/a', '/top/c'].map((address) => session.snapshot(address)?.context)).toEqual([
    { count: 2, naps: 0 },
    { count: 0, naps: 1 },
  ])
  await life.kill(session)
  const again = next(folder, second, migration, clock)
  const resumed = await again.troupe.resume(run)
  expect([resumed.recovery?.machines, seen.length, resumed.snapshot('/top/a')?.context]).toEqual([[], 3, { count: 2, naps: 0 }])
})

test('a process that dies in the commit that migrates leaves everything as it was, and the next one migrates', async () => {
  const { folder, run, clock } = await killed()
  let calls = 0
  const migration: Migration = (old) => {
    calls++
    return toSecond(old)
  }
  const dying = next(folder, second, migration, clock, (types) => {
    if (types.includes('actor.migrated')) throw new Killed('between two instructions')
  })
  const session = await dying.troupe.resume(run)
  await expect(session.done()).rejects.toThrow('between two instructions')
  await dying.kill()
  const life = next(folder, second, migration, clock)
  expect(told(life, run)).toEqual([])
  const resumed = await life.troupe.resume(run)
  await clock.settled()
  expect([calls, told(life, run).length, resumed.snapshot('/top/b')?.value]).toEqual([6, 4, 'draft'])
})

test('migrations of several versions are applied one after the other', async () => {
  const { folder, run } = await killed()
  const third = lone({ ...second.config, version: '3' })
  const versions: string[] = []
  const life = next(folder, third, {
    '2': ({ version, context }) => {
      versions.push(version)
      return { context: { ...context, naps: 100 } }
    },
    '1': (old) => {
      versions.push(old.version)
      return toSecond(old)
    },
  })
  const session = await life.troupe.resume(run)
  expect(session.recovery?.machines).toMatchObject([{ from: '1', to: '3', verdict: 'migrated' }])
  await waitUntil('it is committed', () => told(life, run).length === 4)
  expect([versions, session.snapshot('/top/a')?.context]).toEqual([['1', '2', '1', '2', '1', '2'], { count: 1, naps: 100 }])
})

test('a child whose state and machine are gone is ended with what it holds, and its system id is free', async () => {
  const { folder, run, clock } = await killed('ask')
  const life = next(folder, second, toSecond, clock)
  const session = await life.troupe.resume(run)
  await clock.settled()
  expect(session.tree().children.map(({ address, children }) => [address, children])).toEqual([
    ['/top/a', []],
    ['/top/b', []],
    ['/top/c', []],
  ])
  expect(factsOf(life.store, run, 'actor.stopped').map(({ path }) => path)).toEqual(['/top/b/help'])
  expect([life.store.image(run).systemIds, life.store.cell(run, '/top/b')?.children]).toEqual([{}, []])
})

test('a conversation of a megabyte is taken over like any other context', async () => {
  const folder = temporaryFolder()
  const words = Array.from({ length: 2_000 }, (_, index) => `${index} ${'word '.repeat(100)}`)
  const writer = lone({ ...first.config, context: { words } }, actors)
  const life = openLife(folder, { machines: { writer } })
  const session = await life.troupe.start(only('writer'))
  await session.send('/top/one', { type: 'write', text: 'last' })
  await life.kill(session)
  const raised = lone({ ...first.config, version: '2', context: { words: [] } }, actors)
  const migration: Migration = ({ context }) => ({ context: { words: context.words.slice(1), kept: context.words[0] } })
  const again = next(folder, raised, migration)
  const resumed = await again.troupe.resume(session.id)
  await waitUntil('it is migrated', () => told(again, session.id).length === 2)
  expect(resumed.snapshot('/top/one')?.context).toEqual({ words: [...words.slice(1), 'last'], kept: words[0] })
})

test('a migration of a machine that is not registered is refused at once', async () => {
  expect(
    await codeOf(() => void openLife(temporaryFolder(), { machines: { writer: first }, migrations: { 'writer/nobody': toSecond } })),
  ).toBe('E_MACHINE_INVALID')
})
