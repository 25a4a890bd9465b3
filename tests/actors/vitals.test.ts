/** P9, quiet is not stuck: real processes. One that computes without a word is left alone; one that does nothing is ended, and its actor starts again. */
import { spawn } from 'node:child_process'
import { expect, onTestFinished, test } from 'vitest'
import { EFFECT_TAG, RUN_TAG } from '../../src/actors/sandbox.ts'
import { runCommand } from '../../src/actors/sandboxes/none.ts'
import { vitals } from '../../src/actors/vitals.ts'
import { factsOf, only, openLife, temporaryFolder, waitUntil } from '../harness.ts'
import { type Call, worker } from '../runtime/worker.ts'

const SPIN = 'while :; do :; done'

function tagged(run: string, effect: string, script: string): number {
  const env = { PATH: process.env['PATH'], [RUN_TAG]: run, [EFFECT_TAG]: effect }
  const child = spawn('/bin/sh', ['-c', script], { env, stdio: 'ignore', detached: true })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child.pid!
}

test('of the processes of an effect the busiest is told first, with its command; those of other effects and runs are not', async () => {
  const run = `vitals-${process.pid}`
  const spinning = tagged(run, 'e1', `${SPIN} # mine`)
  const sleeping = tagged(run, 'e1', 'exec sleep 300')
  tagged(run, 'e2', 'exec sleep 300')
  tagged(`${run}-other`, 'e1', 'exec sleep 300')
  const seen = await vitals(run, 'e1')
  expect(seen.map(({ pid }) => pid)).toEqual([spinning, sleeping])
  expect(seen[0]).toEqual({ pid: spinning, cpu: expect.any(Number), cpuMs: expect.any(Number), command: expect.stringContaining('# mine') })
  expect(seen[0]!.cpu).toBeGreaterThan(1)
  expect([seen[1]!.cpu, seen[1]!.command]).toEqual([0, 'sleep 300'])
})

test('where an effect has no process the answer is empty at once', async () => {
  expect(await vitals('no-such-run', 'e1')).toEqual([])
})

/** An actor whose effect is a real command. */
async function commanding(command: string) {
  const cwd = temporaryFolder()
  const life = openLife(temporaryFolder(), {
    machines: { worker: worker() },
    effects: {
      work: {
        perform: async ({ run, id, signal }: Call) => {
          await runCommand({ command, cwd, run, effect: id, signal, graceMs: 50 })
          return 1
        },
      },
    },
  })
  const session = await life.troupe.start(only('worker', { health: { suspectMs: 300, wedgedMs: 900 } }))
  await session.send('/top/one', { type: 'go' })
  onTestFinished(async () => void (await session.stop()))
  return {
    life,
    session,
    changes: () => factsOf(life.store, session.id, 'health.changed').map(({ data }) => `${data['from']} -> ${data['to']}`),
  }
}

test('a command that computes without a word is busy, with its process as the proof, far longer than wedgedMs', async () => {
  const { life, session, changes } = await commanding(SPIN)
  const began = performance.now()
  await waitUntil('three times wedgedMs are over', () => performance.now() - began > 2_700)
  const health = session.tree().children[0]?.health
  expect([changes(), health?.state, factsOf(life.store, session.id, 'actor.crashed')]).toEqual([[], 'busy', []])
  expect(health?.evidence).toMatch(/^e1 work.do, process \d+ at \d+% cpu, `\/bin\/sh -c exec 2>&1/)
})

test('a command that sleeps is suspect and then wedged: its process is ended, and its supervisor starts the actor again', async () => {
  const { life, session, changes } = await commanding('exec sleep 300')
  await waitUntil('the actor has been restarted', () => session.snapshot('/top/one')?.incarnation === 2, changes)
  expect(changes()).toEqual(['busy -> suspect', 'suspect -> wedged', 'wedged -> healthy'])
  const [crash] = factsOf(life.store, session.id, 'actor.crashed')
  expect(crash?.data['code']).toBe('E_WEDGED')
  expect(crash?.data['message']).toMatch(/^e1 work.do: no sign of life for .*, process \d+ at 0% cpu, `sleep 300`$/)
  const [restart] = factsOf(life.store, session.id, 'actor.restarted')
  expect([restart?.data['from'], session.snapshot('/top/one')?.value]).toEqual(['initial', 'idle'])
  const { pid } = (crash!.data['proof'] as { process: { pid: number } }).process
  const lives = (): boolean => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }
  await waitUntil('its process is gone', () => !lives())
})
