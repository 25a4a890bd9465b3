/** Tables, trees, frames and errors as lines. */
import { expect, test } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { nearest } from '../../src/near.ts'
import { frameLine, isAbout, matchesGlob, NOTEWORTHY, reasonWord } from '../../src/view/frame.ts'
import { actorMark, type Look, PLAIN, runMark } from '../../src/view/look.ts'
import { errorObject, problemLines } from '../../src/view/problem.ts'
import { tableLines } from '../../src/view/table.ts'
import { type TreeNode, treeLines } from '../../src/view/tree.ts'
import { actorFrame, frame, RUN } from './samples.ts'

const TONES: Look = { ...PLAIN, paint: (tone, text) => `<${tone}>${text}</>` }

test('a table is aligned, and numbers stand to the right', () => {
  const columns = [{ title: 'RUN' }, { title: 'TOKENS', align: 'right' as const }]
  expect(
    tableLines(
      columns,
      [
        [{ text: '01M7W3MA' }, { text: '3.1k' }],
        [{ text: 'x' }, { text: '12' }],
      ],
      PLAIN,
      false,
    ),
  ).toEqual(['RUN       TOKENS', '01M7W3MA    3.1k', 'x             12'])
})

test('where nobody looks, a table is tab-separated, one line per row, and nothing is cut', () => {
  const long = `${'x'.repeat(200)}\nand\tmore`
  expect(tableLines([{ title: 'A', cut: 'end' }, { title: 'B' }], [[{ text: long }, { text: '1' }]], PLAIN, true)).toEqual([
    'A\tB',
    `${'x'.repeat(200)} and more\t1`,
  ])
})

test('on a narrow screen sentences and addresses are cut, ids and codes never', () => {
  const columns = [{ title: 'ID' }, { title: 'WHAT', cut: 'end' as const }, { title: 'ACTOR', cut: 'middle' as const }]
  const rows = [[{ text: '01M7W3MARPQ8Z2K5T9D3XVHE7B' }, { text: 'a sentence that is rather long' }, { text: '/team/coders/coder-12' }]]
  const [, line = ''] = tableLines(columns, rows, { ...PLAIN, width: 60 }, false)
  expect(line).toBe('01M7W3MARPQ8Z2K5T9D3XVHE7B  a sentence tha…  /team/c…oder-12')
  expect([...line].length).toBe(60)
})

test('a table without rows has no lines', () => {
  expect([tableLines([{ title: 'A' }], [], PLAIN, false), tableLines([{ title: 'A' }], [], PLAIN, true)]).toEqual([[], []])
})

test('colour is put around what is padded, so that columns stay where they are', () => {
  expect(
    tableLines(
      [{ title: 'A' }, { title: 'B' }],
      [
        [{ text: 'x', tone: 'bad' }, { text: 'y' }],
        [{ text: 'long' }, { text: 'z' }],
      ],
      TONES,
      false,
    ),
  ).toEqual(['A     B', '<bad>x   </>  y', 'long  z'])
})

const TREE: TreeNode = {
  mark: '✓',
  name: 'team',
  columns: ['succeeded', '1m42s'],
  children: [
    { mark: '✓', name: 'orchestrator', columns: ['done', '1m41s'], children: [] },
    {
      mark: '✓',
      name: 'coders',
      columns: ['', ''],
      children: [{ mark: '✗', name: 'coder-1#2', columns: ['crashed', '4.0s'], children: [] }],
    },
    { mark: '○', name: 'reviewer', columns: ['idle', ''], children: [] },
  ],
}

test('a tree is drawn with its guides, one line per actor, columns aligned', () => {
  expect(treeLines(TREE, PLAIN, { right: [1] })).toEqual([
    '✓ team                succeeded   1m42s',
    '├─ ✓ orchestrator     done        1m41s',
    '├─ ✓ coders',
    '│  └─ ✗ coder-1#2     crashed      4.0s',
    '└─ ○ reviewer         idle',
  ])
})

test('with ASCII no symbol is beyond ASCII', () => {
  const lines = treeLines(
    {
      ...TREE,
      mark: runMark('succeeded', { ...PLAIN, ascii: true }),
      children: [{ ...TREE.children[2]!, mark: actorMark('waiting', { ...PLAIN, ascii: true }) }],
    },
    { ...PLAIN, ascii: true, width: 60 },
  )
  expect(lines).toEqual(['+ team                succeeded   1m42s', '\\- o reviewer         idle'])
})

test('a free line does not widen the columns of the others', () => {
  const root: TreeNode = {
    mark: '',
    name: 'team',
    free: true,
    columns: ['supervisor one_for_one, at most 3 restarts', 'running'],
    children: TREE.children.slice(0, 1),
  }
  expect(treeLines(root, PLAIN, { rootMark: false })).toEqual([
    'team                  supervisor one_for_one, at most 3 restarts   running',
    '└─ ✓ orchestrator     done   1m41s',
  ])
})

test('a fact is one line: time, type, actor with its life, and what matters of its data', () => {
  const started = actorFrame('effect.started', '/team/coder-2', { id: 'e211', kind: 'git.commit', attempt: 1, epoch: 3 }, { inc: 2 })
  expect(frameLine(started, PLAIN)).toBe('09:12:04.118 effect.started   /team/coder-2#2    id=e211 kind=git.commit attempt=1')
  expect(frameLine(frame('run.started', { data: { name: 'csv-export', pid: 7, limits: {}, host: 'h' } }), PLAIN, '01M7W3MA')).toBe(
    '09:12:04.118 run.started      -                  run=01M7W3MA name=csv-export pid=7',
  )
})

test('values with spaces are quoted, what is long is cut, durations, counts and hashes are in words, empty ones are left out', () => {
  const line = frameLine(
    actorFrame('gate.failed', '/team/executor', {
      gate: 'test',
      tree: '9c1f2ab0d7',
      summary: `1 "test" ${'x'.repeat(200)}`,
      tookMs: 4_200,
      tokens: 41_800,
      files: [],
      none: null,
      inner: { a: 1 },
    }),
    PLAIN,
  )
  expect(line).toBe(
    `09:12:04.118 gate.failed      /team/executor     gate=test tree=9c1f2ab summary="1 \\"test\\" ${'x'.repeat(90)}…" took=4.2s tokens=41.8k`,
  )
})

test('a line break in data cannot make a second line', () => {
  expect(frameLine(actorFrame('work.rejected', '/a', { reasons: ['one\ntwo', 'three'] }), PLAIN)).toBe(
    '09:12:04.118 work.rejected    /a                 reasons="one\\ntwo,three"',
  )
})

test.each([
  [{ kind: 'normal' }, 'normal'],
  [{ kind: 'error', error: { code: 'E_PROVIDER_TIMEOUT' } }, 'E_PROVIDER_TIMEOUT'],
  [{ kind: 'shutdown', detail: 'ordered' }, 'shutdown'],
  [{ kind: 'shutdown', detail: 'completed' }, 'shutdown:completed'],
  [{ code: 'E_INTERRUPTED', message: 'after Ctrl-C' }, 'E_INTERRUPTED'],
  [null, ''],
] as const)('the reason %j is the word %s', (reason, word) => {
  expect(reasonWord(reason)).toBe(word)
})

test.each([
  ['effect.*', 'effect.started', true],
  ['effect.*', 'effects.started', false],
  ['*.failed', 'gate.failed', true],
  ['run.finished', 'run.finished', true],
  ['run.finish', 'run.finished', false],
  ['*', 'x.y', true],
] as const)('the pattern %s takes %s: %s', (glob, type, taken) => {
  expect(matchesGlob(glob, type)).toBe(taken)
})

test.each([
  ['/team/coder-2', true],
  ['coder-2', true],
  ['coder-2#2', true],
  ['coder-2#1', false],
  ['coder', false],
  ['/coder-2', false],
] as const)('%s means /team/coder-2 in its second life: %s', (actor, meant) => {
  expect(isAbout({ path: '/team/coder-2', inc: 2 }, actor)).toBe(meant)
})

test('steps, timers and effects that went well are not noteworthy; crashes, restarts and results are', () => {
  const types = ['step.committed', 'effect.succeeded', 'timer.set', 'actor.crashed', 'actor.restarted', 'run.finished', 'effect.parked']
  expect(types.filter((type) => NOTEWORTHY.has(type))).toEqual(['actor.crashed', 'actor.restarted', 'run.finished', 'effect.parked'])
})

const PROBLEM = new UserError('E_TASK_INVALID', 'goal: expected text, got 35', {
  where: 'a.yaml:7:12',
  fix: 'mend it',
  exit: 3,
  evidence: Array.from({ length: 8 }, (_, n) => `line ${n}`),
  file: 'a.yaml',
  line: 7,
  column: 12,
})

test('an error says its code, where, what, at most six lines of evidence, and a fix', () => {
  expect(problemLines(PROBLEM, PLAIN)).toEqual([
    'error[E_TASK_INVALID] a.yaml:7:12  goal: expected text, got 35',
    ...Array.from({ length: 6 }, (_, n) => `  line ${n}`),
    '  and 2 more',
    '  fix: mend it',
  ])
})

test('a message of several lines goes on below its first one, without empty lines', () => {
  const problem = new UserError('E_LOOP_ESCALATED', 'twice the same\n--- test ---\n\nnot ok\n', { where: '/team', fix: 'mend it', exit: 7 })
  expect(problemLines(problem, PLAIN)).toEqual([
    'error[E_LOOP_ESCALATED] /team  twice the same',
    '  --- test ---',
    '  not ok',
    '  fix: mend it',
  ])
})

test('what models and commands wrote reaches no terminal with its escape sequences', () => {
  const wild = '\u001b]0;owned\u0007\u001b[31mred\u001b[0m\u0007\u009b2J\u007f\r!'
  const problem = new UserError('E_GATE_FAILED', wild, { where: '/team', fix: 'mend it', exit: 1, evidence: [wild] })
  expect(problemLines(problem, PLAIN)).toEqual(['error[E_GATE_FAILED] /team  red2J!', '  red2J!', '  fix: mend it'])
  expect(frameLine(actorFrame('review.given', '/team', { feedback: wild }), PLAIN)).toMatch(/feedback=red2J!$/)
})

test('in JSON an error has every key, and what is absent is null', () => {
  expect(errorObject(PROBLEM)).toEqual({
    schema: 'troupe.error/1',
    code: 'E_TASK_INVALID',
    exit: 3,
    where: 'a.yaml:7:12',
    message: 'goal: expected text, got 35',
    file: 'a.yaml',
    line: 7,
    column: 12,
    fix: 'mend it',
    retryable: false,
    details: { run: null, path: null, state: null, event: null, workItem: null, cause: null },
  })
})

test('near names are offered by edits, at most three, and far ones are not', () => {
  expect(nearest('coder-3', ['coder-1', 'coder-2', 'reviewer', 'coder-1', 'Coder-30', 'coder-31'])).toEqual([
    'coder-1',
    'coder-2',
    'Coder-30',
  ])
  expect(nearest('zzzz', ['csv-export', RUN])).toEqual([])
})
