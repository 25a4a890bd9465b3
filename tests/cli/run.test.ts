/** Running a team from the command line: what goes where, and what is left when it is stopped, killed or cut off. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { reap, strays } from '../../src/actors/reaper.ts'
import { AT_A_WRITE, GREETER_TASK, given, type Options, place, signalAt, start, troupe } from './process.ts'

const RUN_MS = 60_000
const lines = (text: string): string[] => text.split('\n').filter(Boolean)
const parsed = (text: string) => lines(text).map((line) => JSON.parse(line) as Record<string, unknown>)
const SUMMARY = 'Polish plurals and the word before the last name are right, and the names that were given stay as they were.\n'

test('run: stdout is the summary alone; stderr tells the story, the tree and what was verified', { timeout: RUN_MS }, async () => {
  const at = place()
  const said = await troupe(at, ['run', at.task, '--utc'], { input: 'closed' })
  expect([said.exit, said.out]).toEqual([0, SUMMARY])
  const err = lines(said.err)
  expect(err[0]).toMatch(/^troupe 0\.1\.0 {2}run 01[0-9A-Z]{6} {2}greeter {2}scripted \(simulated\) {2}budget 60k tokens$/)
  expect(err[1]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} run\.started {6}- {18}run=01[0-9A-Z]{6} name=greeter pid=\d+$/)
  expect(err.filter((line) => /^[✓├└]/.test(line)).map((line) => line.split(/\s{2,}/)[0])).toEqual([
    '✓ team',
    '├─ ✓ coder',
    '├─ ✓ reviewer',
    '├─ ✓ executor',
    '└─ ✓ orchestrator',
  ])
  expect(err.at(-2)).toMatch(/^verification {2}gate `test` passed on tree [0-9a-f]{7}, the tree that was promoted$/)
  expect(err.at(-1)).toMatch(/^changes {7}4 files \+13 -4 {3}look: troupe show 01[0-9A-Z]{6}$/)
  expect(said.err).not.toContain('\u001b')
  expect(readFileSync(join(at.dir, 'src/list.js'), 'utf8')).toContain('names.at(-1)')
  expect(readdirSync(join(at.home, 'work'))).toEqual([])
})

test('run --json: one object with what was done, verified and used', { timeout: RUN_MS }, async () => {
  const at = place()
  const said = await troupe(at, ['run', at.task, '--json', '-q'])
  const [result, ...more] = parsed(said.out)
  expect([said.exit, said.err, more]).toEqual([0, '', []])
  expect(result).toMatchObject({
    schema: 'troupe.result/1',
    status: 'succeeded',
    exit: 0,
    simulated: true,
    verification: { level: 'verified' },
    workspace: { promoted: true, files: 4, added: 13, removed: 4 },
    usage: { costBasis: 'simulated', actors: 4, inDoubt: 0 },
    error: null,
    resume: null,
  })
})

test('run --jsonl: every fact in order without holes, then one result; a reader that goes away ends nothing', {
  timeout: RUN_MS,
}, async () => {
  const at = place()
  const all = await troupe(at, ['run', at.task, '--jsonl'])
  const frames = parsed(all.out)
  expect(frames.at(-1)).toMatchObject({ schema: 'troupe.result/1', type: 'result', exit: 0 })
  const positions = frames.slice(0, -1).flatMap(({ pos }) => (pos === null ? [] : [pos]))
  expect(positions).toEqual(positions.map((_, index) => index + 1))
  const head = start(at, ['run', at.task, '--jsonl'], { onOut: (_, child) => child.stdout?.destroy() })
  expect((await head.done).exit).toBe(0)
  expect(lines((await troupe(at, ['ps', '--all'])).out).map((line) => line.split('\t')[3])).toEqual([
    'STATUS',
    'succeeded, verified',
    'succeeded, verified',
  ])
})

test('run -: a task comes from stdin; without a model a goal alone fails honestly, with exit 8', { timeout: RUN_MS }, async () => {
  const at = place()
  const file = await troupe(at, ['run', '-', '-q'], { input: readFileSync(at.task, 'utf8') })
  expect([file.exit, file.out]).toEqual([0, SUMMARY])
  const goal = await troupe(at, ['run', 'Make it better'], { input: 'closed' })
  expect([goal.exit, goal.out]).toEqual([8, ''])
  expect(goal.err).toContain('note: no model is configured; replies are scripted (simulated)')
  expect(goal.err).toContain('error[E_SCRIPT_MISS] /team/orchestrator')
})

test('the first signal saves the run and names the command that goes on with it, which it does', { timeout: RUN_MS }, async () => {
  const at = place()
  const stopped = await troupe(at, ['run', at.task, '--jsonl'], signalAt(AT_A_WRITE, 'SIGTERM'))
  const result = parsed(stopped.out).at(-1) as { run: string; resume: string; status: string; error: { code: string; message: string } }
  expect([stopped.exit, result.status, result.error.code]).toEqual([143, 'interrupted', 'E_INTERRUPTED'])
  expect(result.error.message).toMatch(/^saved at #\d+ after SIGTERM, \d+ effects? still open$/)
  expect(result.resume).toBe(`troupe resume ${result.run.slice(0, 8)}`)
  expect((await troupe(at, ['ps'])).out).toContain('interrupted after SIGTERM')
  const resumed = await troupe(at, ['resume'], { input: 'closed' })
  expect([resumed.exit, resumed.out]).toEqual([0, SUMMARY])
  expect(lines(resumed.err)[0]).toMatch(/^run 01[0-9A-Z]{6} {2}greeter {2}stopped .* ago at #\d+: interrupted after SIGTERM$/)
  expect(lines(resumed.err)[1]).toMatch(/^journal ok \(\d+ entries, chain intact\)$/)
  const again = await troupe(at, ['resume', result.run])
  expect([again.exit, again.err]).toEqual([
    1,
    expect.stringMatching(
      /^error\[E_RUN_FINISHED\] run 01[0-9A-Z]{6} {2}succeeded .* ago; there is nothing to continue\n {2}fix: troupe show 01/,
    ),
  ])
})

test('after kill -9 recover lists the run as crashed, changes nothing, and --all brings it to its end', { timeout: RUN_MS }, async () => {
  const at = place()
  const killed = await troupe(at, ['run', at.task, '--jsonl'], signalAt(AT_A_WRITE, 'SIGKILL'))
  expect(killed.signal).toBe('SIGKILL')
  const listed = await troupe(at, ['recover'], { input: 'closed' })
  expect([listed.exit, lines(listed.out)[1]]).toEqual([
    0,
    expect.stringMatching(/^01[0-9A-Z]{6}\tgreeter\t.* ago\tcrashed: pid \d+ is gone, no goodbye\tyes$/),
  ])
  const [before] = parsed((await troupe(at, ['recover', '--json'])).out) as [{ items: Record<string, unknown>[] }]
  expect(before.items).toEqual([
    expect.objectContaining({ status: 'crashed', recoverable: true, owner: expect.objectContaining({ alive: false, epoch: 1 }) }),
  ])
  const all = await troupe(at, ['recover', '--all', '--json', '-q'])
  const [after] = parsed(all.out) as [{ items: { status: string; recovery: { epoch: number; effects: unknown[] } }[] }]
  expect([all.exit, after.items.map(({ status, recovery }) => [status, recovery.epoch])]).toEqual([0, [['succeeded', 2]]])
  expect((await troupe(at, ['recover'])).out).toBe('No run needs recovering.\n')
})

test('a run that lives is owned: a second process is told by whom, and stays away', { timeout: RUN_MS }, async () => {
  const at = place()
  const first = start(at, ['run', GREETER_TASK, '--jsonl'])
  const refused = await new Promise<Awaited<ReturnType<typeof troupe>>>((resolve, reject) => {
    first.child.stdout?.once('data', () => troupe(at, ['resume', 'greeter']).then(resolve, reject))
  })
  expect([refused.exit, refused.err]).toEqual([
    10,
    expect.stringMatching(
      new RegExp(`^error\\[E_RUN_OWNED\\] run 01[0-9A-Z]{6} {2}running on .*, pid ${first.child.pid}, epoch 1, last commit`),
    ),
  ])
  expect((await first.done).exit).toBe(0)
})

test('show and logs tell the same of a run afterwards, by prefix, by name and by --last', { timeout: RUN_MS }, async () => {
  const at = place()
  const [result] = parsed((await troupe(at, ['run', at.task, '--json', '-q'])).out) as [{ run: string; position: number }]
  const shown = await Promise.all([result.run.slice(0, 4).toLowerCase(), 'greeter'].map((name) => troupe(at, ['show', name, '--json'])))
  const [byPrefix, byName] = shown.map(
    ({ out }) => JSON.parse(out) as { run: string; tree: { path: string; children: unknown[] }; effects: unknown[] },
  )
  expect([byPrefix!.run, byName!.run, byName!.tree.path, byName!.tree.children.length]).toEqual([result.run, result.run, '/team', 4])
  const effects = await troupe(at, ['show', '--last', '--effects'])
  expect(lines(effects.out).length).toBe(byName!.effects.length + 1)
  const log = await troupe(at, ['logs', '--last', '--type', 'run.*', '--utc'])
  expect(lines(log.out).map((line) => line.split(/\s+/)[1])).toEqual(['run.started', 'run.finished'])
  const tail = await troupe(at, ['logs', 'greeter', '--jsonl', '-n', '3'])
  expect(parsed(tail.out).map(({ pos }) => pos)).toEqual([result.position - 2, result.position - 1, result.position, undefined])
  expect(parsed(tail.out).at(-1)).toEqual({
    schema: 'troupe.events/1',
    type: 'result',
    run: result.run,
    truncated: true,
    count: 3,
    position: result.position,
  })
  const since = await troupe(at, ['logs', 'greeter', '--jsonl', '--since', `#${result.position - 1}`])
  expect(parsed(since.out).length).toBe(2)
  const actor = await troupe(at, ['logs', 'greeter', '--actor', 'codr'])
  expect([actor.exit, actor.err]).toEqual([9, expect.stringContaining('did you mean coder?')])
})

test('logs -f follows a run over a kill and a resume, and ends with it', { timeout: RUN_MS }, async () => {
  const at = place()
  await troupe(at, ['run', at.task, '--jsonl'], signalAt(AT_A_WRITE, 'SIGKILL'))
  const following = troupe(at, ['logs', 'greeter', '-f', '--type', 'run.*'])
  expect((await troupe(at, ['resume', 'greeter', '-q'])).exit).toBe(0)
  expect(lines((await following).out).map((line) => line.split(/\s+/)[1])).toEqual(['run.started', 'run.resumed', 'run.finished'])
})

test('a name is ambiguous only while an id is: two runs that begin the same are listed', { timeout: RUN_MS }, async () => {
  const at = place()
  const task = given(at, 'quick.yaml', 'goal: x\nprovider: scripted\n')
  await troupe(at, ['run', task, '-q'])
  await troupe(at, ['run', task, '-q'])
  const said = await troupe(at, ['show', '01M', '--json'])
  expect([said.exit, JSON.parse(said.out)]).toEqual([
    9,
    expect.objectContaining({ code: 'E_RUN_NOT_FOUND', message: expect.stringContaining('a prefix has 4 characters or more') }),
  ])
  const runs = (JSON.parse((await troupe(at, ['ps', '--all', '--json'])).out) as { items: { run: string }[] }).items.map(({ run }) => run)
  const ambiguous = await troupe(at, ['show', runs[0]!.slice(0, 4)])
  expect([runs.length, ambiguous.exit, ambiguous.err]).toEqual([
    2,
    9,
    expect.stringMatching(/^error\[E_RUN_AMBIGUOUS\] run 01\w\w {2}fits 2 runs: 01\w+ 01\w+\n {2}fix: type one more character/),
  ])
})

test('the second signal ends the run at once, with every process that it had started', { timeout: RUN_MS }, async () => {
  const at = place()
  const task = given(
    at,
    'stubborn.yaml',
    `goal: x
work: [{id: one, description: x}]
gates: {checks: [{id: test, run: "trap '' TERM INT; echo up; while :; do sleep 1; done"}]}
replies: [{agent: coder, reply: done}]
`,
  )
  let again = false
  const onErr: Options['onErr'] = (err, child) => {
    if (again || !err.includes('the same again ends it at once')) return
    again = true
    child.kill('SIGTERM')
  }
  const said = await troupe(at, ['run', task, '--jsonl'], { ...signalAt(['"text":"up'], 'SIGTERM'), onErr })
  const { run } = parsed(said.out)[0] as { run: string }
  onTestFinished(async () => void (await reap(run, { graceMs: 0 })))
  expect([said.exit, again, strays(run)]).toEqual([143, true, []])
  const [item] = (JSON.parse((await troupe(at, ['recover', '--json'])).out) as { items: { recoverable: boolean }[] }).items
  expect(item?.recoverable).toBe(true)
})

test.each(['git', 'none'] as const)(
  'a file that the user changes while the team works (%s) keeps every file of the user as it is',
  {
    timeout: RUN_MS,
  },
  async (repository) => {
    const at = place()
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: at.dir, encoding: 'utf8' })
    if (repository === 'git') {
      git('init', '-q', '-b', 'main')
      git('add', '-A')
      git('commit', '-qm', 'one')
    }
    const file = join(at.dir, 'src/list.js')
    const mine = `${readFileSync(file, 'utf8')}// of the user\n`
    let changed = false
    const said = await troupe(at, ['run', GREETER_TASK, '--jsonl'], {
      onOut: (out) => {
        if (changed || !out.includes('"type":"work.assigned"')) return
        changed = true
        writeFileSync(file, mine)
      },
    })
    expect(parsed(said.out).at(-1)).toMatchObject({
      exit: 1,
      error: { code: 'E_WORKSPACE_CHANGED', message: '1 file changed here while the team worked: src/list.js' },
      workspace: { promoted: false },
    })
    expect([readFileSync(file, 'utf8'), existsSync(join(at.dir, 'test/argument.test.js'))]).toEqual([mine, false])
    if (repository === 'git') expect(git('status', '--porcelain')).toBe(' M src/list.js\n')
  },
)

test('in a repository with uncommitted changes only the promoted files change: no index, no branch, no stash', {
  timeout: RUN_MS,
}, async () => {
  const at = place()
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: at.dir, encoding: 'utf8' })
  git('init', '-q', '-b', 'main')
  given(at, 'notes.txt', 'one')
  git('add', '-A')
  git('commit', '-qm', 'one')
  given(at, 'notes.txt', 'staged')
  git('add', 'notes.txt')
  given(at, 'notes.txt', 'edited')
  given(at, 'untracked.txt', 'mine')
  const state = () => [
    ...[git('diff', '--cached'), git('stash', 'list'), git('branch', '-a'), git('rev-parse', 'HEAD'), git('worktree', 'list')],
    ...['notes.txt', 'untracked.txt', '.git/config'].map((name) => readFileSync(join(at.dir, name), 'utf8')),
    readdirSync(join(at.dir, '.git')).sort(),
  ]
  const before = state()
  expect((await troupe(at, ['run', at.task, '-q'])).exit).toBe(0)
  expect(state()).toEqual(before)
  expect(git('status', '--porcelain').trimEnd().split('\n')).toEqual([
    'MM notes.txt',
    ' M src/count.js',
    ' M src/list.js',
    ' M src/locales.js',
    '?? test/argument.test.js',
    '?? untracked.txt',
  ])
})
