/** A run whose process is killed by its own work, by real processes and the program's own verbs, until the run is not started any more. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { given, type Place, place, troupe } from './process.ts'

/** A team whose check kills the process that runs it, until a file is there. */
function deadlyTask(at: Place) {
  const [flag, log] = [join(at.home, 'mended'), join(at.home, 'killed')]
  const task = `name: deadly
goal: x
work: [{id: one, description: x}]
gates: {checks: [{id: test, run: "[ -e ${flag} ] || { echo $PPID >> ${log}; kill -9 $PPID; }"}]}
replies:
  - {agent: coder, turn: 1, tool_calls: [{name: write, args: {path: new.txt, content: "new\\n"}}]}
  - {agent: coder, reply: done}
  - {agent: reviewer, reply: {verdict: approved, feedback: []}}
`
  return { task: given(at, 'deadly.yaml', task), mend: () => writeFileSync(flag, '') }
}

/** The run, and its newest entry. */
function look({ home }: Place) {
  const store = sqliteStore({ path: join(home, 'troupe.db') })
  const { run, position } = store.runs()[0]!
  const [{ type, data } = { type: 'none', data: 'null' }] = store.journal(run, position - 1)
  store.close()
  return { run, newest: { type, data: JSON.parse(data) as unknown } }
}

test('a run that kills its process is quarantined at the third crash, whoever resumes it; recover and ps say so; then a person lets it go on', {
  timeout: 90_000,
}, async () => {
  const at = place()
  const { task, mend } = deadlyTask(at)
  const deaths = [await troupe(at, ['run', task]), await troupe(at, ['resume', 'deadly']), await troupe(at, ['recover', '--all'])]
  expect(deaths.map(({ signal }) => signal)).toEqual(['SIGKILL', 'SIGKILL', 'SIGKILL'])
  expect(deaths[2]!.err).toContain('crash 2 within 10m; at 3 it is quarantined\n')
  const { run } = look(at)
  const short = run.slice(0, 8)

  // The third crash is found by a service that continues whatever it may.
  const found = await troupe(at, ['recover', '--all'])
  const refusal = [
    `error[E_RUN_QUARANTINED] run ${short}  crashed 3 times in 10m, each at /team/executor in \`running\``,
    expect.stringMatching(/^ {2}the last that was heard of it: effect\.started e\d+ gate\.run \(#\d+\)$/),
    `  fix: troupe logs ${short}, then: troupe resume ${short} --unquarantine`,
    '',
  ]
  expect([found.exit, found.signal, found.err.split('\n')]).toEqual([1, null, refusal])

  const again = await troupe(at, ['resume', 'deadly'])
  expect([again.exit, again.err.split('\n')]).toEqual([1, refusal])
  const listed = await troupe(at, ['recover'])
  const words = 'quarantined: 3 crashes in 10m at /team/executor'
  expect(listed.out.split('\n')[1]!.split('\t')).toEqual([
    short,
    'deadly',
    expect.any(String),
    words,
    `troupe resume ${short} --unquarantine`,
  ])
  expect((await troupe(at, ['ps'])).out).toContain(words)
  expect(look(at).newest).toEqual({
    type: 'run.quarantined',
    data: { crashes: 3, periodMs: 600_000, path: '/team/executor', state: 'running', strays: [] },
  })

  const namesake = await troupe(at, ['run', task, '--name', 'deadly'])
  expect([namesake.exit, namesake.err]).toEqual([2, expect.stringContaining(`run ${short} has the name \`deadly\` and is not finished`)])

  mend()
  const mended = await troupe(at, ['resume', 'deadly', '--unquarantine', '--json', '-q'])
  expect([mended.exit, JSON.parse(mended.out)]).toEqual([0, expect.objectContaining({ status: 'succeeded' })])
})
