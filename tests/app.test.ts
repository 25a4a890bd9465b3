/** What a task says about its supervision reaches the run that the composition root starts. */
import { expect, test } from 'vitest'
import { parseTask } from '../src/actors/task.ts'
import { openApp } from '../src/app.ts'
import { type Flags, readConfig } from '../src/config.ts'
import type { StaticSupervisorSpec } from '../src/protocol.ts'
import { temporaryFolder } from './harness.ts'

const FLAGS: Flags = {
  json: false,
  jsonl: false,
  quiet: true,
  verbose: 0,
  motion: false,
  color: 'never',
  ascii: true,
  input: false,
  yes: false,
  utc: true,
}

/** What is stored of a run that a task with this supervision has started: the bounds of its crashes, and the times of its children's starts. */
async function started(supervision: string) {
  const home = temporaryFolder()
  const task = parseTask(`goal: Add a flag.\nsupervision: ${supervision}\n`, 'task.yaml')
  const app = openApp(readConfig({ ...FLAGS, home, dir: home }))
  const session = await app.start({ task, file: null, dir: home, version: '0', name: null, project: home })
  await session.stop()
  const { limits, tree } = app.store.run(session.id)!
  app.close()
  const { children } = tree as unknown as StaticSupervisorSpec
  return { crashes: limits.crashes, startTimeouts: new Set(children.map(({ startTimeoutMs }) => startTimeoutMs)) }
}

test('a task says how often the process of its run may crash, and how long a start may take', async () => {
  expect(await started('{quarantine: {crashes: 5, period: 2m}, start_timeout: 7s}')).toEqual({
    crashes: { max: 5, periodMs: 120_000, seen: [] },
    startTimeouts: new Set([7_000]),
  })
})

test('a task that does not say so has the bounds of every run', async () => {
  expect(await started('{intensity: 2}')).toEqual({ crashes: undefined, startTimeouts: new Set([undefined]) })
})
