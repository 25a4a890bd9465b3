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

test('a run that was taken over by another process is no bug: exit 10, by whom, and no report', () => {
  const { place, out, err, reports } = desk()
  const lost = new Defect('E_LEASE_LOST', 'epoch 3 is later', {
    run: 'R',
    epoch: 2,
    ownerEpoch: 3,
    owner: { pid: 7, host: 'far', startedAt: 1 },
  })
  expect([report(lost, place), report(lost, { ...place, flags: { json: false, jsonl: true } })]).toEqual([10, 10])
  const message = 'another process (pid 7, far) took this run over at epoch 3; this one stopped'
  expect(err).toEqual([`error[E_LEASE_LOST] run R  ${message}`, '  fix: troupe logs R -f'])
  expect(JSON.parse(out[0]!)).toMatchObject({ type: 'result', code: 'E_LEASE_LOST', exit: 10, message, retryable: false })
  expect(() => readdirSync(reports)).toThrow('ENOENT')
})

test('a journal that does not end where its owner left it is a bug, with a report', () => {
  const { place, reports } = desk()
  const message = 'run R: its journal ends at 7 and not at 5'
  expect(report(new Defect('E_LEASE_LOST', message, { run: 'R', epoch: 2, ownerEpoch: 2, position: 7 }), place)).toBe(70)
  expect(readdirSync(reports)).toHaveLength(1)
})
