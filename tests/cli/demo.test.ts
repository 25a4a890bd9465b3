/** The demo kills a real process and must come out green every time; its numbers are checked against the store. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { withoutPauses } from '../../src/cli/demo-stage.ts'
import { GREETER_TASK, place, troupe } from './process.ts'

const DEMO_MS = 90_000
interface Demo {
  readonly run: string
  readonly killed: { pid: number; effect: string; inside: boolean; acknowledged: number; stored: number } | null
  readonly recovery: { epoch: number; position: number; owner: { pid: number }; effects: { id: string; verdict: string }[] } | null
  readonly tests: { before: { fail: number }; after: { tests: number; pass: number; fail: number } }
  readonly files: readonly string[]
  readonly doneTwiceSilently: number
}
const REPAIRED = ['src/count.js', 'src/list.js', 'src/locales.js', 'test/argument.test.js']

test('demo: killed in the middle of a write, nothing acknowledged is lost, nothing is done twice, the tests are green', {
  timeout: DEMO_MS,
}, async () => {
  const at = place()
  const said = await troupe(at, ['demo', '--json', '--fast'])
  const demo = JSON.parse(said.out) as Demo
  expect([said.exit, said.err]).toEqual([0, ''])
  expect(demo.killed!.stored).toBe(demo.killed!.acknowledged)
  expect(demo.killed!.acknowledged).toBeGreaterThan(20)
  expect([demo.recovery!.epoch, demo.recovery!.owner.pid]).toEqual([2, demo.killed!.pid])
  if (demo.killed!.inside) expect(demo.recovery!.effects.map(({ id }) => id)).toContain(demo.killed!.effect)
  expect([demo.tests.before.fail > 0, demo.tests.after.fail, demo.files, demo.doneTwiceSilently]).toEqual([true, 0, REPAIRED, 0])
  const [last] = (
    JSON.parse((await troupe(at, ['ps', '--all', '--json'])).out) as { items: { run: string; status: string; project: string }[] }
  ).items
  expect([last!.run, last!.status, last!.project]).toEqual([demo.run, 'succeeded', at.dir])
})

test('demo --no-kill --keep: runs through, says the same, and leaves the repaired copy', { timeout: DEMO_MS }, async () => {
  const at = place()
  const said = await troupe(at, ['demo', '--no-kill', '--keep', 'kept', '--fast'])
  expect([said.exit, said.out]).toEqual([0, 'Tests green: 4 files repaired, each written once, 0 effects done twice silently.\n'])
  expect(said.err).not.toContain('kill -9')
  expect(said.err).toMatch(/^after {9}(\d+) of \1 tests pass, 0 fail$/m)
  expect(readFileSync(join(at.dir, 'kept/src/list.js'), 'utf8')).toContain('names.at(-1)')
  const again = await troupe(at, ['demo', '--keep', 'kept'])
  expect([again.exit, again.err]).toEqual([2, expect.stringContaining('error[E_USAGE] --keep')])
  expect(readdirSync(join(at.dir, 'kept')).includes('test') && !existsSync(join(at.dir, 'kept/greeter'))).toBe(true)
})

test('--fast takes the pauses out of the script, and nothing else', () => {
  const task = parse(readFileSync(GREETER_TASK, 'utf8')) as { replies: Record<string, unknown>[] }
  const replies = task.replies.map(({ delay: _delay, ...reply }) => reply)
  expect(task.replies.some((reply) => 'delay' in reply)).toBe(true)
  expect(parse(withoutPauses(readFileSync(GREETER_TASK, 'utf8')))).toEqual({ ...task, replies })
})
