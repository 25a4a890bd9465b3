/** Tools on staged files: what they see, what they change, and that they never leave the workspace. */
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isTool, look, toolSchemas } from '../../src/actors/tools/catalogue.ts'
import { edited } from '../../src/actors/tools/edit.ts'
import { list } from '../../src/actors/tools/list.ts'
import { read } from '../../src/actors/tools/read.ts'
import { search } from '../../src/actors/tools/search.ts'
import { applyWrite, planWrite, proveWrite, type WriteRequest } from '../../src/actors/tools/write.ts'
import { manifest } from '../../src/actors/workspace.ts'
import { sha256 } from '../../src/actors/workspaces/content.ts'
import { counting } from './promotion-calls.ts'
import { folder, put, repository, see } from './workspace-fixture.ts'

const edit = (path: string, old: string, next: string, more: object = {}): WriteRequest => {
  return { tool: 'edit', args: { path, old, new: next }, ...more }
}
const write = (path: string, content: string, more: object = {}): WriteRequest => ({ tool: 'write', args: { path, content }, ...more })
const change = async (dir: string, request: WriteRequest): Promise<unknown> => applyWrite(dir, await planWrite(dir, request))

test('list shows files with sizes below a folder, ignored ones and node_modules left out, and says when it was cut', async () => {
  const dir = repository({ 'a.txt': 'four', 'src/b.ts': 'b', 'src/c/d.ts': 'dd', 'srcs/e.ts': '', '.gitignore': 'dist\n' })
  put(dir, { 'dist/x': 'x', 'node_modules/y/z': 'z', 'src/new.ts': 'untracked' })
  expect(await list(dir, { path: 'src' })).toEqual({
    files: [
      { path: 'src/b.ts', bytes: 1 },
      { path: 'src/c/d.ts', bytes: 2 },
      { path: 'src/new.ts', bytes: 9 },
    ],
    total: 3,
    truncated: false,
  })
  expect(await list(dir, { max: 2 })).toMatchObject({ total: 6, truncated: true, files: { length: 2 } })
})

test('read gives lines as they are, with the hash of the whole file', async () => {
  const text = '\ufeffone\r\ntwo\nthree'
  const dir = put(folder(), { 'a.txt': text, bin: Buffer.from([65, 0]) })
  const whole = { path: 'a.txt', hash: sha256(text), bytes: Buffer.byteLength(text), lines: 3, binary: false }
  expect(await read(dir, { path: 'a.txt' })).toEqual({ ...whole, content: text, truncated: false })
  expect(await read(dir, { path: 'a.txt', offset: 2, limit: 1 })).toEqual({ ...whole, content: 'two\n', truncated: true })
  expect(await read(dir, { path: './a.txt', offset: 2, numbered: true })).toEqual({
    ...whole,
    content: '2\ttwo\n3\tthree',
    truncated: true,
  })
  expect(await read(dir, { path: 'bin' })).toEqual({
    path: 'bin',
    hash: sha256(Buffer.from([65, 0])),
    bytes: 2,
    lines: 0,
    binary: true,
    content: '',
    truncated: false,
  })
})

test('read cuts a long file between lines and a long line between characters', async () => {
  const dir = put(folder(), { long: 'x'.repeat(999).concat('\n').repeat(200), wide: '\u20ac'.repeat(60_000) })
  const long = await read(dir, { path: 'long' })
  expect([long.content.length, long.lines, long.truncated]).toEqual([100_000, 200, true])
  const wide = await read(dir, { path: 'wide' })
  expect([wide.content, wide.truncated]).toEqual(['\u20ac'.repeat(33_333), true])
})

test('search finds text and expressions, by line, below a folder and by ending', async () => {
  const dir = put(folder(), { 'a.ts': 'let x = f(1)\r\nF(2)\n', 'src/b.ts': 'f(1)', 'src/c.md': 'f(1)', bin: Buffer.from([0, 102, 40]) })
  expect(await search(dir, { pattern: 'f(', ending: '.ts' })).toEqual({
    matches: [
      { path: 'a.ts', line: 1, text: 'let x = f(1)' },
      { path: 'src/b.ts', line: 1, text: 'f(1)' },
    ],
    filesSearched: 2,
    skipped: 0,
    truncated: false,
  })
  expect(await search(dir, { pattern: '^f\\(\\d', regex: true, ignoreCase: true, path: 'a.ts' })).toEqual({
    matches: [{ path: 'a.ts', line: 2, text: 'F(2)' }],
    filesSearched: 1,
    skipped: 0,
    truncated: false,
  })
  expect(await search(dir, { pattern: 'f(', max: 2 })).toMatchObject({ matches: { length: 2 }, truncated: true })
  expect(await search(dir, { pattern: 'nowhere' })).toEqual({ matches: [], filesSearched: 3, skipped: 1, truncated: false })
})

test('an expression that would backtrack for ever is stopped', async () => {
  const dir = put(folder(), { a: `${'a'.repeat(60)}!` })
  const began = performance.now()
  await expect(search(dir, { pattern: '(a+)+$', regex: true })).rejects.toMatchObject({ code: 'E_COMMAND_TIMEOUT' })
  expect(performance.now() - began).toBeLessThan(5_000)
  await expect(search(dir, { pattern: '(', regex: true })).rejects.toThrow(/regular expression/)
})

test('an edit changes exactly its piece: CRLF, a missing last line end, a BOM and broken UTF-8 stay', async () => {
  const dir = folder()
  const bytes = Buffer.concat([Buffer.from('\ufeffone\r\ntwo\r\n'), Buffer.from([0xff, 0xfe]), Buffer.from('\r\nend')])
  writeFileSync(join(dir, 'f'), bytes)
  await change(dir, edit('f', 'one\ntwo', '1\n2\n3'))
  const expected = Buffer.concat([Buffer.from('\ufeff1\r\n2\r\n3\r\n'), Buffer.from([0xff, 0xfe]), Buffer.from('\r\nend')])
  expect(readFileSync(join(dir, 'f')).equals(expected)).toBe(true)
})

test('whatever the bytes around it are, an edit leaves them alone', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), fc.string({ unit: 'binary' }), (head, tail, next) => {
      const old = '\u00ab the only one \u00bb'
      const around = (middle: string): Buffer => Buffer.concat([head, Buffer.from(middle), tail])
      expect(edited(around(old), { path: 'f', old, new: next }).equals(around(next))).toBe(true)
    }),
  )
})

test.each([
  ['not_found', 'three', 'x', {}],
  ['ambiguous', 'o', 'x', {}],
  ['same', 'one', 'one', {}],
  ['stale', 'one', 'x', { seen: sha256('before') }],
] as const)('an edit is refused as %s, and the file stays', async (reason, old, next, more) => {
  const dir = put(folder(), { f: 'one two' })
  await expect(planWrite(dir, edit('f', old, next, more))).rejects.toMatchObject({
    code: 'E_WRITE_REFUSED',
    details: { data: { file: 'f', reason } },
  })
  expect(see(dir)).toEqual({ f: 'one two' })
})

test('with all, every occurrence is replaced, and dollar signs mean nothing', async () => {
  const dir = put(folder(), { f: 'o o' })
  await change(dir, { tool: 'edit', args: { path: 'f', old: 'o', new: '$&$1', all: true } })
  expect(see(dir)).toEqual({ f: '$&$1 $&$1' })
})

test('write makes folders and files and keeps an executable bit; planning touches nothing', async () => {
  const dir = put(folder(), { run: '+x old' })
  const plan = await planWrite(dir, write('new/deep/f.txt', 'n'))
  expect(plan).toEqual({
    path: 'new/deep/f.txt',
    mode: '100644',
    before: null,
    after: sha256('n'),
    content: { encoding: 'utf8', data: 'n' },
  })
  expect(see(dir)).toEqual({ run: '+x old' })
  expect(await applyWrite(dir, plan)).toEqual({ path: 'new/deep/f.txt', before: null, after: sha256('n') })
  await change(dir, write('run', 'new', { seen: sha256('old') }))
  expect(see(dir)).toEqual({ 'new/deep/f.txt': 'n', run: '+x new' })
})

test('a write is compare-and-swap: what somebody else wrote after the plan stays', async () => {
  const dir = put(folder(), { f: 'one' })
  const plan = await planWrite(dir, edit('f', 'one', 'two'))
  put(dir, { f: 'somebody else' })
  await expect(applyWrite(dir, plan)).rejects.toMatchObject({ code: 'E_WRITE_REFUSED', details: { data: { reason: 'stale' } } })
  put(dir, { f: 'one' })
  const late = counting((_, name) => {
    if (name === 'sync') writeFileSync(join(dir, 'f'), 'in the last moment')
  })
  await expect(applyWrite(dir, plan, late)).rejects.toMatchObject({ code: 'E_WRITE_REFUSED' })
  expect(see(dir)).toEqual({ f: 'in the last moment' })
})

test('whichever file call a crash comes before, a write is proved right, and doing it again completes it once', async () => {
  for (let call = 1, finished = false; !finished; call++) {
    const dir = put(folder(), { f: 'one' })
    const plan = await planWrite(dir, write('d/e/f', 'two'))
    let renames = 0
    const crash = counting((count, name) => {
      if (count === call) throw new Error('crash')
      if (name === 'rename') renames++
    })
    finished = await applyWrite(dir, plan, crash).then(
      () => true,
      () => false,
    )
    const verdict = await proveWrite(dir, plan)
    expect(verdict.verdict, `crash before call ${call}`).toBe(renames === 1 ? 'applied' : 'not_applied')
    await applyWrite(
      dir,
      plan,
      counting((_, name) => {
        if (name === 'rename') renames++
      }),
    )
    expect([see(dir), renames]).toEqual([{ f: 'one', 'd/e/f': 'two' }, 1])
    put(dir, { 'd/e/f': 'three' })
    expect(await proveWrite(dir, plan)).toMatchObject({ verdict: 'unknown' })
    if (finished) expect(call).toBeGreaterThan(8)
  }
})

test('what a write left that was killed and never done again is no file of the workspace', async () => {
  const dir = put(folder(), { f: 'one' })
  const plan = await planWrite(dir, write('d/f', 'two'))
  const crash = counting((_, name) => {
    if (name === 'rename') throw new Error('crash')
  })
  await expect(applyWrite(dir, plan, crash)).rejects.toThrow('crash')
  expect(Object.keys(see(dir))).toEqual([expect.stringMatching(/^d\/\.troupe-.*\.tmp$/), 'f'])
  expect(Object.keys(await manifest(dir))).toEqual(['f'])
})

test.each(['../x', '/etc/passwd', 'out/x', 'out', 'dangling', '.git/config', 'sub/.Git/x', 'src/../../x', 'a\0b'])(
  'the path "%s" is refused by every tool',
  async (path) => {
    const outside = put(folder(), { x: 'secret' })
    const dir = put(folder(), { 'src/a': 'a', '.git/config': 'c' })
    symlinkSync(outside, join(dir, 'out'))
    symlinkSync(join(outside, 'missing'), join(dir, 'dangling'))
    const refusal = { code: 'E_WRITE_REFUSED', details: { data: { reason: 'outside' } } }
    await expect(read(dir, { path })).rejects.toMatchObject(refusal)
    await expect(search(dir, { pattern: 'x', path })).rejects.toMatchObject(refusal)
    await expect(list(dir, { path })).rejects.toMatchObject(refusal)
    await expect(planWrite(dir, write(path, 'evil'))).rejects.toMatchObject(refusal)
    const plan = { path, mode: '100644', before: null, after: sha256('x'), content: { encoding: 'utf8', data: 'x' } } as const
    await expect(applyWrite(dir, plan)).rejects.toMatchObject(refusal)
    expect(see(outside)).toEqual({ x: 'secret' })
  },
)

test('a link inside the workspace is followed to its file; a file in the way of a folder is refused', async () => {
  const dir = put(folder(), { 'real/f': 'one', link: '->real/f' })
  await change(dir, write('link', 'two'))
  expect(see(dir)).toEqual({ link: '->real/f', 'real/f': 'two' })
  await expect(change(dir, write('real/f/g', 'x'))).rejects.toMatchObject({ code: 'E_WRITE_REFUSED' })
  await expect(planWrite(dir, write('real', 'x'))).rejects.toMatchObject({ code: 'E_WRITE_REFUSED' })
  await expect(planWrite(dir, edit('none', 'a', 'b'))).rejects.toMatchObject({ details: { data: { reason: 'missing' } } })
  await expect(read(dir, { path: 'none' })).rejects.toMatchObject({ code: 'E_TARGET_NOT_FOUND' })
  await expect(read(dir, { path: 'real' })).rejects.toMatchObject({ code: 'E_TARGET_NOT_FOUND' })
})

test('the catalogue describes every tool to a model and runs those that only look', async () => {
  const schemas = toolSchemas()
  expect(schemas.map(({ name }) => name)).toEqual(['list', 'read', 'search', 'edit', 'write'])
  expect(schemas.find(({ name }) => name === 'write')?.parameters).toEqual({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: {
      path: { type: 'string', minLength: 1, description: 'file, relative to the workspace; folders are made' },
      content: { type: 'string', description: 'the whole new content' },
    },
    required: ['path', 'content'],
    additionalProperties: false,
  })
  expect([isTool('edit'), isTool('toString'), isTool('rm')]).toEqual([true, false, false])
  const dir = put(folder(), { f: 'one' })
  expect(await look(dir, { tool: 'read', args: { path: 'f' } })).toEqual(await read(dir, { path: 'f' }))
})
