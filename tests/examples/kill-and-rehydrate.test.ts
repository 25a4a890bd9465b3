/** The example keeps its word: a tree that died by SIGKILL is back as it was, in another process. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const file = (name: string): string => new URL(`../../examples/kill-and-rehydrate/${name}`, import.meta.url).pathname

test('a tree killed by SIGKILL comes back equal, its overdue timer fires at once and once, and the example says so', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', file('main.ts')], { encoding: 'utf8', timeout: 20_000 })
  expect({ status, stderr, last: stdout.trim().split('\n').at(-1) }, stdout).toEqual({
    status: 0,
    stderr: '',
    last: 'equal: nothing was lost, and nothing happened twice',
  })
  for (const part of ['died by SIGKILL', '/house/hall/bob', 'goodbye', 'announce', 'bread.bake', 'lateMs']) expect(stdout).toContain(part)
})

test('the example fits on two pages', () => {
  const lines = ['main.ts', 'house.ts'].map((name) => readFileSync(file(name), 'utf8').trimEnd().split('\n').length)
  expect(lines.reduce((sum, count) => sum + count)).toBeLessThan(120)
})
