/** A run whose process no longer answers: another one takes it over, and the first one, awake again, does no more harm. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { reap } from '../../src/actors/reaper.ts'
import { heads } from '../../src/runtime/stores/sqlite/head.ts'
import { given, type Place, place, signalAt, start, troupe } from './process.ts'

const RUN_MS = 60_000

/** A team whose check says that it began, and passes once a file is there. */
function waitingTask(at: Place) {
  const [begun, flag] = [join(at.home, 'begun'), join(at.home, 'flag')]
  const task = `name: waiting
goal: x
work: [{id: one, description: x}]
gates: {checks: [{id: test, run: "echo $$ >> ${begun}; echo up; while [ ! -e ${flag} ]; do sleep 0.05; done"}]}
replies:
  - {agent: coder, turn: 1, tool_calls: [{name: write, args: {path: new.txt, content: "new\\n"}}]}
  - {agent: coder, reply: done}
  - {agent: reviewer, reply: {verdict: approved, feedback: []}}
`
  return {
    task: given(at, 'waiting.yaml', task),
    begun: () => readFileSync(begun, 'utf8').split('\n').filter(Boolean).length,
    pass: () => writeFileSync(flag, ''),
  }
}

/** Starts it, and stops its process in the middle of the check, when it waits and holds nothing but its run. */
async function stoppedOwner(at: Place, task: string) {
  const stopped = Promise.withResolvers<void>()
  const once = signalAt(['"text":"up'], 'SIGSTOP')
  const owner = start(at, ['run', task, '--jsonl'], {
    onOut: (out, child) => {
      once.onOut?.(out, child)
      if (out.includes('"text":"up')) stopped.resolve()
    },
  })
  await Promise.race([stopped.promise, owner.done.then((said) => Promise.reject(new Error(`it ended: ${said.out}${said.err}`)))])
  const { run } = (await json(at, ['show', 'waiting'])) as { run: string }
  onTestFinished(async () => void (await reap(run, { graceMs: 0 })))
  return { ...owner, run }
}

/** Takes it over, and waits until the check runs again. */
async function takenOver(at: Place) {
  const up = Promise.withResolvers<void>()
  const owner = start(at, ['resume', 'waiting', '--take-over', '--jsonl'], {
    onOut: (out) => {
      if (out.includes('"text":"up')) up.resolve()
    },
  })
  await Promise.race([up.promise, owner.done.then((said) => Promise.reject(new Error(`it ended: ${said.out}${said.err}`)))])
  return owner
}

const json = async (at: Place, args: readonly string[]): Promise<unknown> => JSON.parse((await troupe(at, [...args, '--json'])).out)

/** As if the last commit had been so long ago. */
function age({ home }: Place, seconds: number): void {
  const db = new Database(join(home, 'troupe.db'))
  const head = heads(db, { afterCommit: () => {} }).read(1)
  heads(db, { afterCommit: () => {} }).write(1, { ...head, wallMs: head.wallMs - seconds * 1_000 })
  db.close()
}

test('a run whose process is stopped is refused, then offered, then taken over and finished; the first one ends without doing more', {
  timeout: RUN_MS,
}, async () => {
  const at = place()
  const { task, begun, pass } = waitingTask(at)
  const owner = await stoppedOwner(at, task)
  const short = owner.run.slice(0, 8)
  const look = `  fix: troupe logs ${short} -f`
  const young = await troupe(at, ['resume', 'waiting'])
  expect([young.exit, young.err.split('\n')]).toEqual([
    10,
    [
      expect.stringMatching(
        new RegExp(`^error\\[E_RUN_OWNED\\] run ${short} {2}running on this host, pid ${owner.child.pid}, epoch 1, last commit .* ago$`),
      ),
      look,
      '',
    ],
  ])
  age(at, 31)
  const old = await troupe(at, ['resume', 'waiting'])
  expect([old.exit, old.err.split('\n')[1]]).toEqual([10, `${look}   or, where that process is stuck: troupe resume ${short} --take-over`])
  pass()
  const taken = await troupe(at, ['resume', 'waiting', '--take-over', '--json', '-q'])
  expect(JSON.parse(taken.out)).toMatchObject({ status: 'succeeded', exit: 0, workspace: { promoted: true } })
  const after = { ...((await json(at, ['show', 'waiting'])) as object), at: null }
  expect([begun(), readFileSync(join(at.dir, 'new.txt'), 'utf8')]).toEqual([2, 'new\n'])
  writeFileSync(join(at.dir, 'new.txt'), 'of the user\n')
  owner.child.kill('SIGCONT')
  const said = await owner.done
  expect([said.exit, said.err.includes('E_INTERNAL'), existsSync(join(at.home, 'reports'))]).toEqual([10, false, false])
  expect(JSON.parse(said.out.trim().split('\n').at(-1)!)).toMatchObject({
    schema: 'troupe.error/1',
    type: 'result',
    code: 'E_LEASE_LOST',
    exit: 10,
    message: 'another process took this run over at epoch 2; this one stopped',
  })
  expect({ ...((await json(at, ['show', 'waiting'])) as object), at: null }).toEqual(after)
  expect([begun(), readFileSync(join(at.dir, 'new.txt'), 'utf8'), readdirSync(join(at.home, 'work'))]).toEqual([2, 'of the user\n', []])
})

test('the first one wakes while the other one works: it is told by whom it was replaced, and the work goes on', {
  timeout: RUN_MS,
}, async () => {
  const at = place()
  const { task, begun, pass } = waitingTask(at)
  const first = await stoppedOwner(at, task)
  const second = await takenOver(at)
  first.child.kill('SIGCONT')
  const said = await first.done
  expect([said.exit, JSON.parse(said.out.trim().split('\n').at(-1)!)]).toEqual([
    10,
    expect.objectContaining({
      code: 'E_LEASE_LOST',
      message: `another process (pid ${second.child.pid}, this host) took this run over at epoch 2; this one stopped`,
      fix: `troupe logs ${first.run} -f`,
    }),
  ])
  pass()
  expect([(await second.done).exit, begun(), readFileSync(join(at.dir, 'new.txt'), 'utf8')]).toEqual([0, 2, 'new\n'])
})

test('a run that was taken over is owned, whatever becomes of the process before: recover leaves it alone', {
  timeout: RUN_MS,
}, async () => {
  const at = place()
  const { task, begun, pass } = waitingTask(at)
  const first = await stoppedOwner(at, task)
  const second = await takenOver(at)
  first.child.kill('SIGKILL')
  await first.done
  const refused = await troupe(at, ['resume', 'waiting'])
  expect([refused.exit, refused.err]).toEqual([10, expect.stringContaining(`running on this host, pid ${second.child.pid}, epoch 2,`)])
  const recovered = await troupe(at, ['recover', '--all', '--json'])
  expect(JSON.parse(recovered.out)).toMatchObject({ items: [] })
  pass()
  expect([(await second.done).exit, begun()]).toEqual([0, 2])
})
