import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Io } from '../../src/cli/io.ts'
import { type Place, report } from '../../src/cli/report.ts'
import { Defect, UserError } from '../../src/errors.ts'
import { PLAIN } from '../../src/view/look.ts'

function desk(flags: Partial<Place['flags']> = {}): { place: Place; out: string[]; err: string[]; reports: string } {
  const temp = mkdtempSync(join(tmpdir(), 'troupe-report-'))
  onTestFinished(() => rmSync(temp, { recursive: true }))
  const out: string[] = []
  const err: string[] = []
  const io: Io = {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    json: (value) => out.push(JSON.stringify(value)),
    outLook: PLAIN,
    errLook: PLAIN,
    outClosed: new AbortController().signal,
  }
  const reports = join(temp, 'reports')
  return { place: { io, flags: { json: false, jsonl: false, ...flags }, reports, verb: 'run' }, out, err, reports }
}

const SECRET = 'sk-live-123'

test('a bug exits 70 and leaves a report for its owner alone: where it happened, and nothing that anybody wrote', () => {
  const { place, out, err, reports } = desk()
  process.env['TROUPE_TEST_SECRET'] = SECRET
  onTestFinished(() => void delete process.env['TROUPE_TEST_SECRET'])
  const exit = report(new TypeError(`Unexpected token, "${SECRET} write me a poem" is not valid JSON`), place)
  const [file = ''] = readdirSync(reports)
  const text = readFileSync(join(reports, file), 'utf8')
  expect([exit, out, err.length, statSync(join(reports, file)).mode & 0o777]).toEqual([70, [], 2, 0o600])
  expect(err[0]).toBe('error[E_INTERNAL] run  a bug in troupe: TypeError: Unexpected token, "…" is not valid JSON')
  expect(text).toMatch(/^troupe 0\.1\.0\nnode v.*\nverb run\nTypeError: Unexpected token, "…" is not valid JSON\n\s+at .*report\.test\.ts/)
  expect([text.includes(SECRET), text.includes('poem'), text.includes('PATH')]).toEqual([false, false, false])
})

test('what is not an error can be thrown, too, and a report that cannot be written hides nothing', () => {
  const { place, err } = desk()
  expect(report('poem', { ...place, reports: '/dev/null/reports' })).toBe(70)
  expect(err).toEqual(['error[E_INTERNAL] run  a bug in troupe: a thrown string', '  fix: report it with the line above'])
})

test('an error for the person is no bug: its own exit code, no report', () => {
  const { place, err, reports } = desk()
  const problem = new UserError('E_RUN_NOT_FOUND', 'no run `x`', { where: 'run x', fix: 'troupe ps', exit: 9 })
  expect([report(problem, place), err]).toEqual([9, ['error[E_RUN_NOT_FOUND] run x  no run `x`', '  fix: troupe ps']])
  expect(() => readdirSync(reports)).toThrow('ENOENT')
})

test('a run that was taken over by another process is owned by it: exit 10, and the same command may succeed later', () => {
  const { place, out } = desk({ jsonl: true })
  expect(report(new Defect('E_LEASE_LOST', 'epoch 3 is later'), place)).toBe(10)
  expect(JSON.parse(out[0]!)).toMatchObject({ schema: 'troupe.error/1', type: 'result', code: 'E_RUN_OWNED', exit: 10, retryable: true })
})
