/** An actor of another kind is another actor, whatever its name: what is stored of the one means nothing to the other. */
import { expect, test } from 'vitest'
import {
  type AnyEventObject,
  type AnyStateMachine,
  fromCallback,
  fromEventObservable,
  fromObservable,
  fromPromise,
  fromTransition,
} from 'xstate'
import { z } from 'zod'
import { effect } from '../../src/effect.ts'
import type { Json } from '../../src/json.ts'
import type { Migration } from '../../src/runtime/migrations.ts'
import { createRegistry } from '../../src/runtime/registry.ts'
import { compare, definitionOf, pathOf } from '../../src/runtime/versions.ts'
import { codeOf, factsOf, only, openLife, temporaryFolder, waitUntil } from '../harness.ts'
import { lone } from './writers.ts'

const NEVER = { subscribe: () => ({ unsubscribe: (): void => {} }) } as never
const logic: Record<string, unknown> = {
  machine: lone({ id: 'kid', context: { n: 1 }, initial: 'w', states: { w: { on: { fin: 'd' } }, d: { type: 'final' } } }),
  transition: fromTransition((state: { n: number }, event: AnyEventObject) => ({ ...state, last: event.type }), { n: 0 }),
  promise: fromPromise(() => new Promise(() => {})),
  callback: fromCallback(() => {}),
  observable: fromObservable(() => NEVER),
  'effect:kid.raise': effect({ kind: 'kid.raise', input: z.object({}).optional(), output: z.number(), repeat: 'repeat' }),
  'effect:kid.teach': effect({ kind: 'kid.teach', input: z.object({}).optional(), output: z.number(), repeat: 'repeat' }),
}
const kinds = Object.keys(logic)
const states = { s: { invoke: { src: 'kid', id: 'k' } } }
const parent = (kind: string, more: object = {}): AnyStateMachine => lone({ initial: 's', states, ...more }, { kid: logic[kind] as never })
const row = (machine: AnyStateMachine) => ({ version: machine.version ?? '1', definition: definitionOf(machine) as unknown as Json })
const old = (row_: { version: string; definition: Json }) => {
  const { states, actors } = row_.definition as { states: Json; actors: { [src: string]: Json } }
  return { version: row_.version, definition: { states, actors: Object.keys(actors) } }
}
const SAME = { verdict: 'identical', differences: [], gone: [] }

test('a definition says of each actor what kind it is, and is the same text however actors are ordered', () => {
  const all = { ...logic, events: fromEventObservable(() => NEVER) } as unknown as Record<string, never>
  const { actors } = definitionOf(lone({}, all))
  expect(actors).toEqual({ ...Object.fromEntries(kinds.map((kind) => [kind, kind])), events: 'observable' })
  const turned = Object.fromEntries(Object.entries(all).reverse())
  expect(JSON.stringify(definitionOf(lone({}, turned)))).toBe(JSON.stringify(definitionOf(lone({}, all))))
})

test.each(kinds.flatMap((was) => kinds.filter((is) => is !== was).map((is) => [was, is] as const)))(
  'an actor that was %s and is %s stands in the way under the same version, and needs a migration under another',
  (was, is) => {
    const differences = [`the actor 'kid' was ${was} and is ${is}`]
    expect(compare(row(parent(was)), row(parent(is)))).toEqual({ verdict: 'refuse', differences, gone: [] })
    expect(compare(row(parent(was)), row(parent(is, { version: '2' })))).toEqual({ verdict: 'migrate', differences, gone: [] })
  },
)

test.each(kinds)('an actor that is %s as before is no difference, and neither is one whose kind was not written down', (kind) => {
  expect(compare(row(parent(kind)), row(parent(kind)))).toEqual(SAME)
  for (const was of kinds) expect(compare(old(row(parent(was))), row(parent(kind)))).toEqual(SAME)
})

test('names are compared where kinds were not written down, and a name of every object is a name like any other', () => {
  const kid = logic['machine'] as never
  const without = lone({ initial: 's', states: { s: {} } })
  const [withKid, withBuilt] = ['kid', 'constructor'].map((src) => lone({ initial: 's', states: { s: {} } }, { [src]: kid }))
  expect(compare(old(row(withKid!)), row(without))).toEqual({ verdict: 'refuse', differences: ["the actor 'kid' is gone"], gone: [] })
  expect(compare(old(row(without)), row(withKid!))).toEqual({ verdict: 'compatible', differences: ["the actor 'kid' is new"], gone: [] })
  expect(compare(row(withBuilt!), row(without)).differences).toEqual(["the actor 'constructor' is gone"])
  expect(compare(row(without), row(withBuilt!)).differences).toEqual(["the actor 'constructor' is new"])
})

const registered = (machine: unknown) => createRegistry({ machines: { kid: machine as AnyStateMachine } }).machine('kid')!
const reducer = registered(logic['transition'])
const REDUCER_OF_BEFORE = { version: '1', definition: { states: {}, actors: [] } }

test('a reducer and a machine are never the same, in either direction, whenever they were written down', () => {
  const machine = registered(logic['machine'])
  expect(reducer.definition).toEqual({ kind: 'transition', states: {}, actors: {} })
  const toReducer = { verdict: 'refuse', differences: ['it was a machine and is a reducer (fromTransition)'], gone: ['', 'w', 'd'] }
  const toMachine = { verdict: 'refuse', differences: ['it was a reducer (fromTransition) and is a machine'], gone: [] }
  expect([compare(machine, reducer), compare(old(machine), reducer)]).toEqual([toReducer, toReducer])
  expect([compare(reducer, machine), compare(REDUCER_OF_BEFORE, machine)]).toEqual([toMachine, toMachine])
  expect([compare(reducer, reducer), compare(REDUCER_OF_BEFORE, reducer)]).toEqual([SAME, SAME])
})

const handlers = { 'kid.raise': { perform: () => new Promise<number>(() => {}) }, 'kid.teach': { perform: async () => 1 } }

/** A run of one actor that was killed. */
async function killed(machine: unknown): Promise<{ folder: string; run: string }> {
  const folder = temporaryFolder()
  const life = openLife(folder, { machines: { one: machine as AnyStateMachine }, effects: handlers })
  const session = await life.troupe.start(only('one'))
  await session.send('/top/one', { type: 'poke' })
  await life.kill(session)
  return { folder, run: session.id }
}

const CASES = [
  ['machine', 'transition', ['one', 'one/kid']],
  ['transition', 'machine', ['one', 'one/kid']],
  ['promise', 'machine', ['one']],
  ['callback', 'promise', ['one']],
  ['promise', 'callback', ['one']],
] as const
test.each(CASES)('a run whose %s has become a %s is refused before anything happens, and goes on with what it was', async (was, is) => {
  const { folder, run } = await killed(parent(was))
  const life = openLife(folder, { machines: { one: parent(is) }, effects: handlers })
  const before = factsOf(life.store, run)
  expect(await codeOf(life.troupe.resume(run))).toBe('E_MACHINE_CHANGED')
  expect(factsOf(life.store, run)).toEqual(before)
  await life.kill()
  const again = openLife(folder, { machines: { one: parent(was) }, effects: handlers })
  expect((await again.troupe.resume(run)).recovery?.machines).toEqual([])
})

test('a reducer that has become a machine goes on where a migration says where it stands, and is refused where none does', async () => {
  const { folder, run } = await killed(logic['transition'])
  const next = lone({ version: '2', context: { n: 0 }, initial: 'w', states: { w: { on: { fin: 'd' } }, d: {} } })
  const [refused, failed] = [undefined, (({ context }) => ({ context })) as Migration].map((one) =>
    openLife(folder, { machines: { one: next }, ...(one === undefined ? {} : { migrations: { one } }) }),
  )
  expect(await codeOf(refused!.troupe.resume(run))).toBe('E_MACHINE_CHANGED')
  await refused!.kill()
  expect(await codeOf(failed!.troupe.resume(run))).toBe('E_MIGRATION_FAILED')
  await failed!.kill()
  const toMachine: Migration = ({ value, context }) => ({ value: 'w', context: { n: context.n, last: [value, context.last] } })
  const life = openLife(folder, { machines: { one: next }, migrations: { one: toMachine } })
  const session = await life.troupe.resume(run)
  await session.send('/top/one', { type: 'fin' })
  const seen = () => session.snapshot('/top/one')
  await waitUntil('it has gone on', () => seen()?.value === 'd', seen)
  expect(seen()?.context).toEqual({ n: 0, last: [null, 'poke'] })
})

test('each path is another text, with dots and backslashes wherever they stand', () => {
  const keys = ['a', '.', '\\', 'a.', 'a\\', '.a', '\\a', '\\.', '.\\', '\\\\']
  const paths = [...keys.map((key) => [key]), ...keys.flatMap((one) => keys.map((two) => [one, two]))]
  expect(new Set(paths.map(pathOf)).size).toBe(paths.length)
  expect([pathOf(['a\\', 'b']), pathOf(['a.b'])]).toEqual(['a\\\\.b', 'a\\.b'])
})

const nested = (above: string, below: object): AnyStateMachine =>
  lone({ type: 'parallel', states: { [above]: { type: 'parallel', states: below } } })

test.each(['a\\', 'a.', '\\.', '\\', '.\\'])('what is gone or new below the state `%s` is told', (above) => {
  const [one, two] = [nested(above, { x: {} }), nested(above, { x: {}, 'y\\.': {} })]
  const path = pathOf([above, 'y\\.'])
  expect(compare(row(two), row(one))).toEqual({ verdict: 'refuse', differences: [`state \`${path}\` is gone`], gone: [path] })
  expect(compare(row(one), row(two))).toEqual({ verdict: 'refuse', differences: [`region \`${path}\` is new`], gone: [] })
})

test('a definition of before backslashes were doubled is read as it was written', () => {
  const machine = nested('a\\', { 'b.c': {}, '\\d': {} })
  const { definition } = row(machine)
  const { states } = definition as unknown as { states: Record<string, Json> }
  const before = {
    '': states['']!,
    'a\\': states['a\\\\']!,
    'a\\.b\\.c': states['a\\\\.b\\.c']!,
    'a\\.\\d': states['a\\\\.\\\\d']!,
  }
  expect(compare({ version: '1', definition: { states: before, actors: [] } }, row(machine))).toEqual(SAME)
})
