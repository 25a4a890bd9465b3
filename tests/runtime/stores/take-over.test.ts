/** Who may go on with a run, between real processes with a real engine: one of many that resume it at once, and never again one that was replaced. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type OwnerProcess, startProcess } from './owner.process.ts'
import { folder, openStore } from './samples.ts'

const CHILD = fileURLToPath(new URL('./rival.child.ts', import.meta.url))
const RIVALS = 8
const ROUNDS = process.env['TROUPE_NIGHTLY'] === undefined ? 8 : 20

async function rival(path: string, ...how: 'freeze'[]): Promise<OwnerProcess> {
  const child = startProcess([process.execPath, '--no-warnings', CHILD, path, ...how])
  expect(await child.line(30_000)).toEqual({ ready: child.pid })
  return child
}

/** A store with a stopped run of the porter. */
async function stoppedRun(): Promise<{ path: string; run: string; first: OwnerProcess }> {
  const path = join(folder(), 'troupe.db')
  const first = await rival(path)
  const { run } = await first.tell('start')
  expect(await first.tell('stop')).toEqual({ status: 'interrupted' })
  return { path, run: String(run), first }
}

/** Who carried what: lines `PID N`. */
const carried = (path: string): string[] => {
  const file = join(dirname(path), 'carried')
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
}

test('of eight processes that resume a run at once exactly one has it, and seven are told so within a second, time after time', {
  timeout: 120_000,
}, async () => {
  const { path, first } = await stoppedRun()
  const rivals = [first, ...(await Promise.all(Array.from({ length: RIVALS - 1 }, () => rival(path))))]
  const slowestMs = { winner: 0, refused: 0 }
  for (let round = 1; round <= ROUNDS; round++) {
    const answers = await Promise.all(rivals.map((process) => process.tell('resume')))
    const won = rivals.filter((_, index) => 'epoch' in answers[index]!)
    const codes = answers.map((answer) => answer['failed'] ?? 'won').sort()
    expect({ round, codes }).toEqual({ round, codes: [...Array.from({ length: RIVALS - 1 }, () => 'E_RUN_OWNED'), 'won'] })
    for (const answer of answers) {
      const who = 'epoch' in answer ? 'winner' : 'refused'
      slowestMs[who] = Math.max(slowestMs[who], Number(answer['tookMs']))
    }
    expect(answers.find((answer) => 'epoch' in answer)).toMatchObject({ epoch: round + 1 })
    expect(await won[0]!.tell('stop')).toEqual({ status: 'interrupted' })
  }
  process.stderr.write(
    `${RIVALS} resumes at once, ${ROUNDS} times: the winner had it after ${slowestMs.winner.toFixed(0)} ms at most, the others were refused after ${slowestMs.refused.toFixed(0)} ms at most\n`,
  )
  expect(slowestMs.refused).toBeLessThan(3_000)
})

test('an owner that was stopped and replaced can commit nothing more when it wakes: what it accepts is refused, and the new owner finishes', async () => {
  const { path, run, first } = await stoppedRun()
  const store = openStore(path)
  await first.tell('resume')
  await first.tell('carry 1')
  await expect.poll(() => store.effects(run).map((row) => row.status), { timeout: 15_000 }).toEqual(['succeeded'])
  first.kill('SIGSTOP')
  const second = await rival(path)
  expect(await second.tell('resume')).toMatchObject({ failed: 'E_RUN_OWNED' })
  expect(await second.tell('take')).toMatchObject({ run, epoch: 3 })
  const before = store.journal(run, 0)
  first.kill('SIGCONT')
  expect(await first.tell('carry 2')).toMatchObject({ failed: 'E_LEASE_LOST' })
  expect(await first.tell('done')).toMatchObject({ failed: 'E_LEASE_LOST' })
  expect(store.journal(run, 0).slice(0, before.length)).toEqual(before)
  await second.tell('carry 2')
  await second.tell('carry 3')
  expect(await second.tell('done')).toEqual({ status: 'succeeded', output: { carried: [1, 2, 3] } })
  expect(carried(path)).toEqual([`${first.pid} 1`, `${second.pid} 2`, `${second.pid} 3`])
})

test('an owner that is stopped between the commit of an effect and the effect, and replaced, does not start it when it wakes', async () => {
  const { path, run } = await stoppedRun()
  const store = openStore(path)
  const [frozen, second] = [await rival(path, 'freeze'), await rival(path)]
  await frozen.tell('resume')
  const sent = frozen.tell('carry 1') // It stops itself before it can answer, or right after.
  sent.catch(() => {})
  await expect.poll(() => store.effects(run).map((row) => row.status), { timeout: 15_000 }).toEqual(['started'])
  expect(await second.tell('take')).toMatchObject({ run, epoch: 3 })
  await expect.poll(() => carried(path), { timeout: 15_000 }).toEqual([`${second.pid} 1`])
  frozen.kill('SIGCONT')
  await sent
  expect(await frozen.tell('done')).toMatchObject({ failed: 'E_LEASE_LOST' })
  await second.tell('carry 2')
  await second.tell('carry 3')
  expect(await second.tell('done')).toEqual({ status: 'succeeded', output: { carried: [1, 2, 3] } })
  expect(carried(path)).toEqual([`${second.pid} 1`, `${second.pid} 2`, `${second.pid} 3`])
})
