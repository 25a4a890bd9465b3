/** What the program says when it is used wrongly, and where it says it. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { given, place, shellOf, troupe } from './process.ts'

test.each([
  [['--jsn'], 2, "error[E_USAGE] --jsn  unknown option '--jsn'; did you mean `--json`?\n  fix: troupe --help\n"],
  [['shw'], 2, "error[E_USAGE] troupe  unknown command 'shw'; did you mean `show`?\n  fix: troupe --help\n"],
  [['run'], 2, "error[E_USAGE] run  missing required argument 'task'\n  fix: troupe run --help\n"],
  [
    ['logs', 'x', '--lines', 'z'],
    2,
    "error[E_USAGE] --lines  option '-n, --lines <n>' argument 'z' is invalid. expected a whole number of at least 1, like 200k\n  fix: troupe logs --help\n",
  ],
  [['show'], 2, 'error[E_USAGE] show  no run is named\n  fix: troupe show RUN, or --last; see troupe ps\n'],
  [['show', 'abcd', '--last'], 2, 'error[E_FLAG_CONFLICT] --last  `abcd` and --last exclude each other\n  fix: leave one out\n'],
  [['-C', 'nowhere', 'ps'], 2, 'error[E_USAGE] -C  no such folder: DIR/nowhere\n  fix: name a folder that exists\n'],
  [
    ['run', 'nope.yaml'],
    3,
    'error[E_TASK_NOT_FOUND] nope.yaml  no such file\n  fix: name a task file, or quote the text of a task: troupe run "Add a --version flag"\n',
  ],
  [
    ['run', 'nope'],
    3,
    'error[E_TASK_NOT_FOUND] nope  no such file\n  fix: name a task file, or quote the text of a task: troupe run "Add a --version flag"\n',
  ],
  [['run', 'team.ts'], 2, 'error[E_USAGE] team.ts  scripts are started by `node`, not by this release of troupe\n  fix: node team.ts\n'],
  [
    ['resume', '01M7W3MA'],
    9,
    'error[E_RUN_NOT_FOUND] run 01M7W3MA  no run `01M7W3MA` in HOME/troupe.db\n  fix: troupe ps --all --everywhere\n',
  ],
  [['resume'], 9, 'error[E_RUN_NOT_FOUND] resume  no run of this project can go on\n  fix: troupe ps --all --everywhere\n'],
  [['logs', '--last'], 9, 'error[E_RUN_NOT_FOUND] --last  this project has no run yet\n  fix: troupe ps --all --everywhere\n'],
  [
    ['run', '--name', 'Not A Name', 'do it now'],
    2,
    'error[E_USAGE] --name  `Not A Name` is no name: lower case letters, digits and -, a letter first\n  fix: --name csv-export\n',
  ],
] as const)('troupe %j exits %d and says why on stderr, with nothing on stdout', async (args, exit, err) => {
  const at = place()
  const said = await troupe(at, args)
  expect({ ...said, err: said.err.replaceAll(at.dir, 'DIR').replaceAll(at.home, 'HOME') }).toEqual({ exit, signal: null, out: '', err })
})

test('a bad task file is reported with file, line, column and the line itself, and nothing is started', async () => {
  const at = place()
  given(at, 'bad.yaml', 'goal: x\nwrok: 3\n')
  const said = await troupe(at, ['run', 'bad.yaml'])
  expect([said.exit, said.out, said.err.split('\n').slice(0, 3)]).toEqual([
    3,
    '',
    [expect.stringMatching(/^error\[E_TASK_INVALID\] bad\.yaml:2:1 {2}wrok: unknown key/), '     2 | wrok: 3', '       | ^^^^'],
  ])
  expect(existsSync(join(at.home, 'troupe.db'))).toBe(false)
})

test('with --json a failure is exactly one object on stdout and nothing on stderr', async () => {
  const said = await troupe(place(), ['--json', 'run', 'nope.yaml'])
  expect([said.exit, said.err, said.out.split('\n').length]).toEqual([3, '', 2])
  expect(JSON.parse(said.out)).toMatchObject({ schema: 'troupe.error/1', code: 'E_TASK_NOT_FOUND', exit: 3, line: null, retryable: false })
})

test('also where the arguments make no sense the answer has the form that was asked for', async () => {
  const json = await troupe(place(), ['--json', 'shw'])
  expect([json.exit, JSON.parse(json.out)]).toEqual([2, expect.objectContaining({ schema: 'troupe.error/1', code: 'E_USAGE' })])
  const jsonl = await troupe(place(), ['--jsonl', 'shw'])
  expect([jsonl.exit, JSON.parse(jsonl.out)]).toEqual([2, expect.objectContaining({ code: 'E_USAGE', type: 'result' })])
  const both = await troupe(place(), ['ps', '--json', '--jsonl'])
  expect([both.exit, JSON.parse(both.out)]).toEqual([2, expect.objectContaining({ code: 'E_FLAG_CONFLICT' })])
})

test('help and version go to stdout and exit 0', async () => {
  const at = place()
  const [help, verb, version] = await Promise.all([troupe(at, ['--help']), troupe(at, ['resume', '-h']), troupe(at, ['-V'])])
  expect([help.exit, help.err, verb.exit, verb.err, version]).toEqual([0, '', 0, '', { exit: 0, signal: null, out: '0.1.0\n', err: '' }])
  for (const name of ['run', 'resume', 'recover', 'demo', 'ps', 'show', 'logs']) expect(help.out).toMatch(new RegExp(`^ {2}${name} `, 'm'))
  expect(verb.out).toContain('--take-over')
})

test('without a verb the program says how it is used and exits 2', async () => {
  const said = await troupe(place(), [])
  expect([said.exit, said.out]).toEqual([2, ''])
  expect(said.err).toContain('Usage: troupe')
})

test('no runs are an answer: ps and recover say so and exit 0', async () => {
  const at = place()
  expect(await troupe(at, ['ps'])).toEqual({ exit: 0, signal: null, out: 'No unfinished runs here. All: troupe ps --all\n', err: '' })
  expect(await troupe(at, ['recover'])).toEqual({ exit: 0, signal: null, out: 'No run needs recovering.\n', err: '' })
  expect(JSON.parse((await troupe(at, ['ps', '--json'])).out)).toEqual({
    schema: 'troupe.runs/1',
    type: 'result',
    items: [],
    truncated: false,
  })
})

test('a home that is no store is refused with exit 10 and left as it is', async () => {
  const at = place()
  given({ ...at, dir: at.home }, 'troupe.db', 'These are my notes, not a database. '.repeat(50))
  const said = await troupe(at, ['ps'])
  expect([said.exit, said.out]).toEqual([10, ''])
  expect(said.err).toMatch(/^error\[E_STORE_[A-Z_]+\] store {2}.*troupe\.db/)
})

test('colour is for terminals, unless it is asked for; NO_COLOR is honoured, a flag is stronger', async () => {
  const at = place()
  const csi = '\u001b['
  const colored = async (args: readonly string[], env: Record<string, string>) =>
    (await troupe(at, [...args, 'show', 'abcd'], { env })).err.includes(csi)
  expect([
    await colored([], {}),
    await colored([], { FORCE_COLOR: '1' }),
    await colored([], { FORCE_COLOR: '1', NO_COLOR: '1' }),
    await colored(['--color', 'always'], { NO_COLOR: '1' }),
    await colored(['--color', 'never'], { FORCE_COLOR: '1' }),
  ]).toEqual([false, true, false, true, false])
})

test('a reader that goes away ends the view quietly; a disk that is full is no success', async () => {
  const at = place()
  const piped = (command: string) =>
    spawnSync('bash', ['-c', `${command}; echo "\${PIPESTATUS[0]}"`], { cwd: at.dir, encoding: 'utf8', env: shellOf(at) })
  expect(piped('"$NODE" "$MAIN" --help | head -1')).toMatchObject({ stdout: 'Usage: troupe [options] [command]\n0\n', stderr: '' })
  const full = piped('"$NODE" "$MAIN" ps > /dev/full')
  expect([full.stdout, full.stderr]).toEqual([
    '1\n',
    expect.stringMatching(/^error\[E_OUTPUT\] stdout {2}the result could not be written: ENOSPC\n {2}fix: /),
  ])
  expect(piped('"$NODE" "$MAIN" ps >&-').stdout).toBe('0\n')
})
