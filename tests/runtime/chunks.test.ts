/** Large snapshots are stored in parts: the same value gives the same parts whatever came before, it comes back as it was, and a step writes what it changed. */
import { hash } from 'node:crypto'
import { type Arbitrary, array, assert, constantFrom, integer, jsonValue, nat, oneof, property, string, tuple } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assertJson, type Json } from '../../src/json.ts'
import type { EncodedSnapshot } from '../../src/runtime/cell.ts'
import { refsIn } from '../../src/runtime/chunks.ts'
import type { LiveSnapshot } from '../../src/runtime/host.ts'
import { Ref } from '../../src/runtime/ref.ts'
import { contentOf, decode, encode } from '../../src/runtime/snapshot.ts'
import { chunksBelow, liveWith, machine, stored } from './stored-parts.ts'

type Context = { readonly [key: string]: Json }
const words = (chars: number, seed: number): string => {
  let text = ''
  for (let at = seed + 1; text.length < chars; at = (Math.imul(at, 1_664_525) + 1_013_904_223) >>> 0) text += `${at.toString(36)} `
  return text.slice(0, chars)
}
const messages = (count: number, chars = 1_000): Json[] =>
  Array.from({ length: count }, (_, index) => ({ role: index % 2 === 0 ? 'user' : 'agent', content: words(chars, index) }))

/** Characters that a snapshot adds to what those before it have written. */
function written(encoded: EncodedSnapshot, known: Set<string>): { chars: number; chunks: number } {
  let chars = encoded.json.length
  let chunks = 0
  for (const { hash: name, text } of chunksBelow(encoded.chunks).values()) {
    if (known.has(name)) continue
    known.add(name)
    chars += text.length
    chunks++
  }
  return { chars, chunks }
}

/** Not every key may be stored. */
function isStorable(value: Json): boolean {
  try {
    assertJson(value, 'value')
    return true
  } catch {
    return false
  }
}

/** One edit of one member of a context, with new data. */
type Edit = (context: Context) => Context
const large: Arbitrary<Json> = oneof(
  jsonValue()
    .map((value) => JSON.parse(JSON.stringify(value)) as Json)
    .filter(isStorable),
  tuple(integer({ min: 1, max: 40 }), nat(9)).map(([count, seed]) => messages(count, 200 + seed * 150)),
  tuple(integer({ min: 100, max: 4_000 }), constantFrom('é', '😀', '\n', 'x', '"')).map(([count, unit]) => unit.repeat(count)),
  array(nat(9), { minLength: 100, maxLength: 2_000, size: 'max' }),
  tuple(integer({ min: 60, max: 400 }), nat(5)).map(([count, seed]) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`${index % 3 === 0 ? '' : 'k'}${index * 7}`, words(seed * 40, index)])),
  ),
)
/** Own members only: `__proto__` is a key like any other here. */
const own = (context: Context, name: string): Json | undefined => (Object.hasOwn(context, name) ? context[name] : undefined)
const at = (list: readonly Json[], place: number): number => Math.floor((list.length * place) / 100)
const onList = (value: Json | undefined, edit: (list: readonly Json[]) => readonly Json[]): Json =>
  Array.isArray(value) ? edit(value) : [value ?? null]
const key = constantFrom('a', 'b', '__proto__')
const edits: Arbitrary<Edit> = oneof<Arbitrary<Edit>[]>(
  tuple(key, large).map(([name, value]) => (context) => ({ ...context, [name]: value })),
  tuple(key, large).map(([name, value]) => (context) => ({ ...context, [name]: onList(own(context, name), (list) => [...list, value]) })),
  tuple(key, nat(99)).map(([name, place]) => (context) => ({
    ...context,
    [name]: onList(own(context, name), (list) => list.toSpliced(at(list, place), 1)),
  })),
  tuple(key, nat(99), large).map(([name, place, value]) => (context) => ({
    ...context,
    [name]: onList(own(context, name), (list) => list.toSpliced(at(list, place), 1, value)),
  })),
  key.map((name) => (context) => ({ ...context, [name]: { inner: own(context, name) ?? null, same: own(context, 'a') ?? null } })),
  tuple(key, string()).map(([name, more]) => (context) => ({
    ...context,
    [name]: `${typeof own(context, name) === 'string' ? own(context, name) : ''}${more.toWellFormed()}`,
  })),
  key.map((name) => (context) => {
    const { [name]: _, ...rest } = context
    return rest
  }),
)

test('any contexts come back as they were, under a hash that depends on nothing but their value', { timeout: 60_000 }, () => {
  let inParts = 0
  assert(
    property(array(edits, { minLength: 1, maxLength: 12 }), (all) => {
      let before: LiveSnapshot | null = null
      let context: Context = {}
      for (const [step, edit] of all.entries()) {
        context =
          JSON.parse(JSON.stringify(context).replaceAll('-0', '0')) === undefined ? {} : edit((before?.context as Context) ?? context)
        const live = liveWith(context)
        const encoded = encode(live, before)
        const fresh: Context = JSON.parse(JSON.stringify(context))
        if (encoded.chunks !== undefined) inParts++
        expect(encoded.hash).toBe(hash('sha256', encoded.json, 'hex'))
        expect(encode(liveWith(fresh))).toEqual(encoded)
        const loaded = stored(encoded)
        expect(JSON.stringify(contentOf(loaded).context)).toBe(JSON.stringify(fresh))
        for (const chunk of chunksBelow(encoded.chunks).values()) {
          expect(chunk.hash).toBe(hash('sha256', chunk.text, 'hex'))
          expect(chunk.chunks.map((below) => below.hash)).toEqual(refsIn(chunk.text))
        }
        const back = decode(machine, loaded, [])
        expect(JSON.stringify(back.context)).toBe(JSON.stringify(fresh))
        // Every second step goes on from what was read.
        before = step % 2 === 0 ? live : back
        expect(encode(liveWith({ ...(back.context as Context) }), back).hash).toBe(encoded.hash)
      }
    }),
    { numRuns: 150 },
  )
  expect(inParts).toBeGreaterThan(100)
})

const rows = Array.from({ length: 1_500 }, (_, index) => ({ id: index }))
const keyed = (name: (index: number) => string): Context => ({ rows: Object.fromEntries(rows.map((row, index) => [name(index), row])) })
const long = words(20_000, 1)
test.each<[string, Context, Context]>([
  ['the same values under other keys', keyed((index) => `a${index}`), keyed((index) => (index === 200 ? 'b' : `a${index}`))],
  ['a text with a word in it changed', { long }, { long: `${long.slice(0, 9_000)}${'x'.repeat(1_500)}${long.slice(10_500)}` }],
  [
    'a text in which a pair of surrogates moves the pieces',
    { long: `${'x'.repeat(1_023)}\u{1f600}${long}` },
    { long: `${'x'.repeat(1_024)}\u{1f600}${long}` },
  ],
  ['a text that is shorter', { long }, { long: long.slice(0, 15_000) }],
  ['a list that is longer in front', { rows }, { rows: [...rows.slice(0, 40), ...rows] }],
  ['a list that became a map', { rows }, { rows: { ...rows } }],
  ['a list of itself', { rows }, { rows: [rows, rows] }],
])('what is kept of %s is what it holds', (_, first, second) => {
  const before = liveWith(first)
  encode(before)
  const after = encode(liveWith(second), before)
  expect(contentOf(after).context).toEqual(second)
  expect(after).toEqual(encode(liveWith(JSON.parse(JSON.stringify(second)))))
})

describe('a step writes what it changed', () => {
  const list = messages(1_000)
  const map = Object.fromEntries(list.map((value, index) => [`key ${index}`, value]))
  const text = words(1_000_000, 1)
  test.each<[string, Context, (context: Context, index: number) => Context, number, number]>([
    [
      'an element more',
      { n: 0, list },
      (c, i) => ({ n: i, list: [...(c['list'] as Json[]), { role: 'user', content: words(1_000, -i) }] }),
      4_000,
      2,
    ],
    [
      'the oldest element out, a new one in',
      { list },
      (c, i) => ({ list: [...(c['list'] as Json[]).slice(1), words(1_000, -i)] }),
      6_000,
      5,
    ],
    ['an element changed', { list }, (c, i) => ({ list: (c['list'] as Json[]).with((i * 37) % 1_000, words(1_000, -i)) }), 6_000, 5],
    ['an element taken out', { list }, (c, i) => ({ list: (c['list'] as Json[]).toSpliced((i * 37) % 800, 1) }), 5_000, 5],
    [
      'one member of a thousand',
      { map },
      (c, i) => ({ map: { ...(c['map'] as Context), [`key ${(i * 37) % 1_000}`]: words(1_000, -i) } }),
      6_000,
      5,
    ],
    ['a kilobyte at the end of a text', { text }, (c, i) => ({ text: (c['text'] as string) + words(1_000, i) }), 4_500, 2],
    ['a number beside it', { n: 0, list, map, text }, (c, i) => ({ ...c, n: i }), 1_500, 0],
    [
      'a list two levels down',
      { a: { b: { list } } },
      (c, i) => ({ a: { b: { list: [...(c as { a: { b: { list: Json[] } } }).a.b.list, words(1_000, i)] } } }),
      5_000,
      4,
    ],
  ])('%s of a megabyte', (_, first, next, charsMean, chunksMean) => {
    let before = liveWith(first)
    const known = new Set<string>()
    const objects = new Set<object>()
    let encoded = encode(before)
    written(encoded, known)
    for (const chunk of chunksBelow(encoded.chunks).values()) objects.add(chunk)
    const sum = { chars: 0, chunks: 0, built: 0 }
    for (let index = 1; index <= 60; index++) {
      // Half of the way it is a process that has just read the snapshot.
      if (index === 30) {
        const loaded = stored(encoded)
        before = decode(machine, loaded, [])
        for (const chunk of chunksBelow(loaded.chunks).values()) objects.add(chunk)
      }
      const after = liveWith(next(before.context as Context, index))
      encoded = encode(after, before)
      const { chars, chunks } = written(encoded, known)
      sum.chars += chars
      sum.chunks += chunks
      for (const chunk of chunksBelow(encoded.chunks).values()) {
        if (!objects.has(chunk)) sum.built++
        objects.add(chunk)
      }
      before = after
    }
    const mean = `${sum.chars / 60} characters, ${sum.chunks / 60} chunks a step, ${sum.built / 60} built`
    expect({ chars: sum.chars / 60 <= charsMean, chunks: sum.chunks / 60 <= chunksMean }, mean).toEqual({ chars: true, chunks: true })
    // What is not written is not built either: it is found by identity, also after a load. A run beside a change may be built again, and prove to be the same.
    expect(sum.built, mean).toBeLessThanOrEqual(sum.chunks * 1.1)
  })
})

test('references to actors come back alive, and as data where somebody only looks', () => {
  const ref = new Ref('/top/one', 3, 'one')
  const rows = messages(50).map((row, index) => ({ ...(row as Context), owner: index % 7 === 0 ? ref : null }))
  const encoded = stored(encode(liveWith({ rows })))
  expect(encoded.chunks?.length).toBeGreaterThan(0)
  const alive = decode(machine, encoded, []).context as { rows: { owner: unknown }[] }
  expect(alive.rows[7]?.owner).toBeInstanceOf(Ref)
  expect(JSON.parse(JSON.stringify(alive))).toEqual(JSON.parse(JSON.stringify({ rows })))
  expect((contentOf(encoded).context as { rows: { owner: unknown }[] }).rows[7]?.owner).toEqual({
    '@troupe.ref': '/top/one',
    incarnation: 3,
    id: 'one',
  })
})

test('data that is read with its parts is frozen, and equal parts are one object', () => {
  const row = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`field ${index}`, words(30, index)]))
  const context = decode(machine, stored(encode(liveWith({ a: { row }, b: [row, ...messages(20)] }))), []).context as {
    a: { row: object }
    b: object[]
  }
  expect(context.b[0]).toBe(context.a.row)
  expect([Object.isFrozen(context.a.row), Object.isFrozen(context.b)]).toEqual([true, true])
  const { a, b } = contentOf(encode(liveWith({ a: { row }, b: [row, ...messages(20)] }))).context as unknown as {
    a: { row: object }
    b: object[]
  }
  expect(b[0]).not.toBe(a.row)
})

test('a snapshot of which a part is missing is damaged, and says which', () => {
  const encoded = encode(liveWith({ list: messages(40) }))
  const [first] = encoded.chunks!
  expect(() => contentOf({ ...encoded, chunks: encoded.chunks!.slice(1) })).toThrow(
    expect.objectContaining({ code: 'E_SNAPSHOT_DAMAGED', message: `a part of a snapshot is missing: chunk ${first!.hash}` }),
  )
})

test.each(['@troupe.ref', '@troupe.chunk', '@troupe.concat'])('data that holds the reserved key %s is refused', (reserved) => {
  expect(() => encode(liveWith({ deep: [{ [reserved]: [] }] }))).toThrow(
    expect.objectContaining({ code: 'E_NOT_JSON', message: `context.deep[0].${reserved} holds a reserved key: choose another name` }),
  )
})
