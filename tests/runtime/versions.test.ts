/** Whether what is stored can go on in another version of its machine: a verdict over two definitions, the same wherever the actors of a run stand. */
import { expect, test } from 'vitest'
import type { AnyStateMachine } from 'xstate'
import type { Json } from '../../src/json.ts'
import { judgeMachines } from '../../src/runtime/engines/local/migrate.ts'
import { type Migration, migrationPath } from '../../src/runtime/migrations.ts'
import { createRegistry } from '../../src/runtime/registry.ts'
import type { CellRow } from '../../src/runtime/store.ts'
import { compare, definitionOf, standsIn } from '../../src/runtime/versions.ts'
import { first, lone, second, toSecond } from './writers.ts'

const row = (machine: AnyStateMachine) => ({ version: machine.version ?? '1', definition: definitionOf(machine) as unknown as Json })
const states = { a: { after: { 1000: 'b' }, on: { go: 'b' } }, b: { initial: 'x', states: { x: {}, y: {} } } }
const base = { initial: 'a', states }

test('a definition is what stored snapshots rest on', () => {
  const kid = lone({})
  const machine = lone(
    {
      initial: 'a',
      states: {
        a: { after: { 1000: 'b', soon: 'b' }, on: { go: 'b', '*': {} }, invoke: [{ src: 'kid', id: 'boy' }, { src: 'kid' }] },
        b: { type: 'parallel', states: { x: { type: 'final' }, 'y.z': { id: 'other' }, back: { type: 'history', history: 'deep' } } },
      },
    },
    { kid: kid as never },
  )
  expect(definitionOf(machine)).toEqual({
    actors: { kid: 'machine' },
    states: {
      '': { id: 'm', type: 'compound', initial: 'a' },
      a: {
        id: 'm.a',
        type: 'atomic',
        after: ['1000', 'soon'],
        on: ['*', 'go'],
        invoke: [
          { id: 'boy', src: 'kid' },
          { id: '1.m.a', src: 'kid' },
        ],
      },
      b: { id: 'm.b', type: 'parallel' },
      'b.x': { id: 'm.b.x', type: 'final' },
      'b.y\\.z': { id: 'other', type: 'atomic' },
      'b.back': { id: 'm.b.back', type: 'history', history: 'deep' },
    },
  })
})

test.each<[string, { readonly [key: string]: unknown }, string, readonly string[]]>([
  ['nothing', base, 'identical', []],
  ['the version alone', { ...base, version: '2' }, 'compatible', []],
  ['another initial state', { ...base, initial: 'b' }, 'compatible', ['the machine begins in `b`, not in `a`']],
  ['a state more', { ...base, states: { ...states, c: {} } }, 'compatible', ['state `c` is new']],
  [
    'a delay more',
    { ...base, states: { ...states, b: { ...states.b, after: { soon: 'a' } } } },
    'compatible',
    ['`b` has a new after(soon)'],
  ],
  [
    'an event more, an event less',
    { ...base, states: { ...states, a: { after: { 1000: 'b' }, on: { run: 'b' } } } },
    'compatible',
    ['`a` does not take go any more', '`a` takes run'],
  ],
  ['a state less', { initial: 'a', states: { a: { after: { 1000: 'a' }, on: { go: {} } } } }, 'refuse', ['state `b` is gone']],
  [
    'a state below less',
    { ...base, version: '2', states: { ...states, b: { initial: 'y', states: { y: {} } } } },
    'migrate',
    ['state `b.x` is gone', '`b` begins in `y`, not in `x`'],
  ],
  ['a delay less', { ...base, states: { ...states, a: { on: { go: 'b' } } } }, 'refuse', ['`a` has no after(1000) any more']],
  [
    'a state that became final',
    { ...base, states: { ...states, a: { type: 'final' } } },
    'refuse',
    expect.arrayContaining(['`a` was atomic and is final']),
  ],
  [
    'a state that became parallel',
    { ...base, states: { ...states, b: { type: 'parallel', states: { x: {}, y: {}, z: {} } } } },
    'refuse',
    expect.arrayContaining(['`b` was compound and is parallel', 'region `b.z` is new']),
  ],
  [
    'another id',
    { ...base, id: 'n', states: { a: {} } },
    'refuse',
    expect.arrayContaining(["the id of the machine was 'm' and is 'n': timers and history are stored under it"]),
  ],
])('a machine that differs in %s: the verdict is the same wherever its actors stand', (_, config, verdict, differences) => {
  expect(compare(row(lone(base)), row(lone(config)))).toEqual({ verdict, differences, gone: expect.any(Array) })
})

test('a change of what is invoked stands in the way when something is gone, and not when something is new', () => {
  const kid = lone({}) as never
  const without = lone({ ...base }, { kid, other: kid })
  const [withKid, withOther] = ['kid', 'other'].map((src) =>
    lone({ ...base, states: { ...states, b: { ...states.b, invoke: { src } } } }, { kid, other: kid }),
  )
  expect(compare(row(without), row(withKid!))).toEqual({ verdict: 'compatible', differences: ["`b` invokes 'kid'"], gone: [] })
  expect(compare(row(withKid!), row(withOther!))).toEqual({
    verdict: 'refuse',
    differences: ["`b` does not invoke 'kid' any more", "`b` invokes 'other'"],
    gone: [],
  })
  expect(compare(row(lone(base, { kid })), row(lone(base)))).toEqual({
    verdict: 'refuse',
    differences: ["the actor 'kid' is gone"],
    gone: [],
  })
})

test('a state value stands in all states on its way', () => {
  expect(standsIn({ a: { 'b.c': 'd' }, e: {} })).toEqual(['a', 'a.b\\.c', 'a.b\\.c.d', 'e'])
})

test.each<[string, string, string, readonly string[] | null]>([
  ['1', '2', 'all that are before it', ['1', '1.9', '1.10']],
  ['1', '10', 'all in between, in the order of their numbers', ['1', '1.9', '1.10', '2', '9']],
  ['1.10', '3', 'what is left of it', ['1.10', '2']],
  ['3', '4', 'none, where no migration is for that version', null],
  ['9', '2', 'none, because it goes back', null],
])('the way from version %s to %s is %s', (from, to, _, path) => {
  const none: Migration = () => ({})
  const spec = { '10': none, '2': none, '1.10': none, '1': none, '9': none, '1.9': none }
  expect(migrationPath(spec, from, to)?.map(({ version }) => version) ?? null).toEqual(path)
})

const cellRow = (more: Partial<CellRow>): CellRow => ({
  address: '/top/a',
  incarnation: 1,
  machine: 'm',
  version: '1',
  parent: null,
  id: 'a',
  supervised: true,
  status: 'active',
  since: 1,
  sync: false,
  readyTag: null,
  ready: true,
  input: undefined,
  children: [],
  nextId: 0,
  systemIds: {},
  exit: null,
  ...more,
})

test('where machines are the same no cell and no snapshot is read, however many there are', () => {
  const host = createRegistry({ machines: { writer: first } })
  const reads: string[] = []
  const machines = [{ ...host.machine('writer')!, cells: 1_000_000 }]
  const cells = () => {
    reads.push('cells')
    return []
  }
  const snapshot = () => {
    reads.push('snapshot')
    return null
  }
  expect(judgeMachines({ machines: () => machines, cells, snapshot }, 'r', host).found).toEqual([])
  expect(reads).toEqual([])
})

test('a run of before machines were written down goes on under the same versions, and needs a migration for others', () => {
  const old = { machines: () => [], snapshot: () => null, cells: () => [cellRow({ machine: 'writer', version: '1', status: 'starting' })] }
  expect(judgeMachines(old, 'r', createRegistry({ machines: { writer: first } })).found).toEqual([])
  const differences = ['what it was is not stored: the run is older than this']
  expect(judgeMachines(old, 'r', createRegistry({ machines: { writer: second }, migrations: { writer: toSecond } })).found).toEqual([
    { machine: 'writer', from: '1', to: '2', verdict: 'migrated', actors: 1, differences },
  ])
  expect(() => judgeMachines(old, 'r', createRegistry({ machines: { writer: second } }))).toThrow(
    expect.objectContaining({ code: 'E_MACHINE_CHANGED' }),
  )
})
