/** `cassette` and the tapes of `run`: what is printed, as text and as JSON, and with which exit code. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lineOf } from '../../src/actors/cassettes/exchange.ts'
import { given, type Place, place, troupe } from './process.ts'

const SECRET = 'sk-ant-api03-Canary0Canary1Canary2'
const exchange = (n: number, content: string): string =>
  lineOf({
    at: `2026-11-20T09:12:0${n}.000Z`,
    request: { method: 'POST', path: '/api/chat', headers: {}, json: { model: 'qwen3:14b', messages: [{ role: 'user', content }] } },
    status: 200,
    headers: {},
    body: ['{"done":true}\n'],
    end: 'whole',
    error: null,
  })

/** A tape in the folder. @returns its name. */
function tape(at: Place, name: string, ...lines: readonly string[]): string {
  mkdirSync(join(at.dir, 'tapes'), { recursive: true })
  return given(at, join('tapes', name), lines.map((line) => `${line}\n`).join(''))
}
const said = async (at: Place, ...args: readonly string[]) => {
  const { exit, out, err } = await troupe(at, args)
  return { exit, out, err: err.replaceAll(at.dir, 'DIR') }
}

test('verify says what is on each tape, and exits with 1 where one holds a secret, is torn or is not there', async () => {
  const at = place()
  const good = tape(at, 'good.jsonl', exchange(1, 'a'), exchange(2, 'b'))
  const bad = tape(at, 'bad.jsonl', exchange(1, `use ${SECRET}`), exchange(2, 'b').replace('09:12:02', '09:12:03'))
  writeFileSync(join(at.dir, bad), exchange(3, 'c').slice(0, 40), { flag: 'a' })
  expect(await said(at, 'cassette', 'verify', good)).toEqual({
    exit: 0,
    out: "tapes/good.jsonl  ok  2 exchanges, ollama qwen3:14b, 0 secrets, 2 of 2 match today's requests\n",
    err: '',
  })
  expect(await said(at, 'cassette', 'verify', good, bad, 'none.jsonl')).toEqual({
    exit: 1,
    out: `tapes/good.jsonl  ok  2 exchanges, ollama qwen3:14b, 0 secrets, 2 of 2 match today's requests
tapes/bad.jsonl  invalid  2 exchanges, ollama qwen3:14b, 1 secret, 2 of 2 match today's requests
none.jsonl  invalid  0 exchanges, 0 secrets, 0 of 0 match today's requests
`,
    err: `error[E_CASSETTE_INVALID] tapes/bad.jsonl:2  its sum does not fit: it was changed or is damaged
error[E_CASSETTE_INVALID] tapes/bad.jsonl:3  is torn after 40 bytes: a recording ended in the middle of it
error[E_CASSETTE_INVALID] tapes/bad.jsonl  holds 1 secret
  fix: troupe cassette scrub tapes/bad.jsonl, or record it again
error[E_CASSETTE_INVALID] none.jsonl  no such file
  fix: troupe cassette scrub none.jsonl, or record it again
`,
  })
  const json = JSON.parse((await troupe(at, ['cassette', 'verify', bad, '--json'])).out)
  expect(json).toMatchObject({
    schema: 'troupe.cassettes/1',
    truncated: false,
    items: [{ file: 'tapes/bad.jsonl', ok: false, exchanges: 2, secrets: 1, drift: [], problems: [{ line: 2 }, { line: 3 }] }],
  })
})

test('scrub mends a tape in its place, or writes another one, and asks before it replaces that', async () => {
  const at = place()
  const bad = tape(at, 'bad.jsonl', exchange(1, `use ${SECRET}`), exchange(2, 'b').replace('09:12:02', '09:12:03'))
  const before = readFileSync(join(at.dir, bad), 'utf8')
  const line = '1 secret taken out of 2 exchanges; sealed again, changed by hand: 2\n'
  expect(await said(at, 'cassette', 'scrub', bad, '-o', 'clean.jsonl')).toEqual({ exit: 0, out: `clean.jsonl  ${line}`, err: '' })
  expect(await said(at, 'cassette', 'scrub', bad, '-o', 'clean.jsonl')).toMatchObject({
    exit: 2,
    err: expect.stringMatching(/^error\[E_CONFIRM_REQUIRED\] .*replace clean\.jsonl/),
  })
  expect(readFileSync(join(at.dir, bad), 'utf8')).toBe(before)
  expect(await said(at, 'cassette', 'scrub', bad)).toEqual({ exit: 0, out: `tapes/bad.jsonl  ${line}`, err: '' })
  expect((await said(at, 'cassette', 'verify', bad, 'clean.jsonl')).exit).toBe(0)
  given(at, 'notes.jsonl', 'mine\n')
  expect(await said(at, 'cassette', 'scrub', 'notes.jsonl')).toEqual({
    exit: 8,
    out: '',
    err: 'error[E_CASSETTE_INVALID] notes.jsonl:1  is no JSON\n  fix: troupe cassette verify notes.jsonl\n',
  })
  expect(readFileSync(join(at.dir, 'notes.jsonl'), 'utf8')).toBe('mine\n')
})

test('ls is a table of the folder', async () => {
  const at = place()
  expect(await said(at, 'cassette', 'ls')).toMatchObject({ exit: 0, out: '', err: expect.stringContaining('no tapes in tapes') })
  expect((await said(at, 'cassette', 'ls', 'elsewhere')).exit).toBe(2)
  tape(at, 'b.jsonl', exchange(1, `use ${SECRET}`))
  tape(at, 'a.jsonl', exchange(1, 'a'), exchange(2, 'b'))
  const { out } = await said(at, 'cassette', 'ls')
  expect(out.replace(/\d+ B|[\d.]+ kB/g, 'SIZE').split('\n')).toEqual([
    'FILE\tEXCHANGES\tSIZE\tRECORDED\tMODELS\tSTATE',
    'tapes/a.jsonl\t2\tSIZE\t2026-11-20\tollama qwen3:14b\tok',
    'tapes/b.jsonl\t1\tSIZE\t2026-11-20\tollama qwen3:14b\tinvalid',
    '',
  ])
})

test('run refuses tapes that cannot be meant, before anything is started', async () => {
  const at = place()
  const there = tape(at, 'there.jsonl', exchange(1, 'a'))
  const first = async (...args: readonly string[]) => {
    const { exit, err } = await said(at, 'run', at.task, ...args)
    return [
      exit,
      err
        .replaceAll(at.task, 'TASK')
        .split('\n')
        .filter((line) => !line.startsWith('note')),
    ]
  }
  expect(await first('--record', 'a.jsonl', '--replay', there)).toMatchObject([
    2,
    [expect.stringContaining('error[E_FLAG_CONFLICT] --record'), '  fix: leave one out', ''],
  ])
  expect(await first('--strict')).toMatchObject([
    2,
    [expect.stringContaining('error[E_USAGE] --strict'), '  fix: name a tape with --replay', ''],
  ])
  expect(await first('--replay', 'none.jsonl')).toEqual([
    8,
    ['error[E_CASSETTE_INVALID] --replay none.jsonl  no such file', '  fix: troupe run TASK --record none.jsonl', ''],
  ])
  expect(await first('--record', there)).toEqual([
    2,
    [
      `error[E_CONFIRM_REQUIRED] run TASK --record ${there}  replace ${there}? nobody can be asked here`,
      `  fix: troupe run TASK --record ${there} -y`,
      '',
    ],
  ])
  expect(JSON.parse((await troupe(at, ['ps', '--all', '--json'])).out).items).toEqual([])
})
