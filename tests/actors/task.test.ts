import { describe, expect, test } from 'vitest'
import { parseTask, taskFromText } from '../../src/actors/task.ts'
import { teamTree } from '../../src/actors/team.ts'
import { UserError } from '../../src/errors.ts'

const FULL = `version: 1
name: csv-export
goal: The \`report\` command can write CSV.
provider: scripted
input: {separator: ","}
workspace: {dir: app, mode: copy, promote: never}
deadline: 1h30m
budget: {max_tokens: 200k}
agents:
  coder: {max_iterations: 12, deadline: 10m}
  reviewer: {max_rounds: 2}
supervision:
  strategy: rest_for_one
  intensity: 5
  period: 60s
  backoff: {base_delay: 200ms, max_delay: 5s, jitter: 0.1}
  start_timeout: 30s
  quarantine: {crashes: 3, period: 10m}
loops: {max_consecutive_retries: 3, oscillation: false, similarity: 0.9, polling: ["npm run wait*"], polling_deadline: 5m}
gates:
  level: warn
  checks:
    - {id: lint, run: npm run lint, timeout: 1m}
    - {id: test, run: npm test}
work:
  - {id: parse, description: "Quote and escape fields", phase: implementation, priority: 5, files: [src/csv.ts]}
  - {id: export, description: "Flag --csv", needs: [parse], deadline: 5m}
replies:
  - {agent: coder, item: parse, turn: 1, tool_calls: [{name: write, args: {path: src/csv.ts, content: "x"}}]}
  - {agent: coder, match: "tests? failed", reply: "Fixed.", tokens: {input: 900, output: 120}, delay: 200ms}
  - {agent: coder, item: export, times: 1, error: {code: E_PROVIDER_TIMEOUT, retry: backoff}}
  - {agent: reviewer, reply: {verdict: approved, feedback: []}}
  - {agent: "*", reply: "done"}
`
const ANY = { item: null, turn: null, match: null, times: null, reply: null, toolCalls: [], tokens: null, delayMs: 0, error: null }

test('the documented format becomes a task with plain numbers and all defaults filled in', () => {
  expect(parseTask(FULL, 'task.yaml')).toEqual({
    version: 1,
    name: 'csv-export',
    goal: 'The `report` command can write CSV.',
    provider: 'scripted',
    input: { separator: ',' },
    workspace: { dir: 'app', mode: 'copy', promote: 'never' },
    deadlineMs: 5_400_000,
    budget: { tokensMax: 200_000 },
    agents: { coder: { iterationsMax: 12, deadlineMs: 600_000 }, reviewer: { roundsMax: 2, deadlineMs: null } },
    supervision: {
      strategy: 'rest_for_one',
      intensity: 5,
      periodMs: 60_000,
      backoff: { baseMs: 200, maxMs: 5_000, jitter: 0.1 },
      startTimeoutMs: 30_000,
      quarantine: { crashes: 3, periodMs: 600_000 },
    },
    loops: { maxConsecutiveRetries: 3, oscillation: false, similarity: 0.9, polling: ['npm run wait*'], pollingMs: 300_000 },
    gates: {
      level: 'warn',
      checks: [
        { id: 'lint', run: 'npm run lint', timeoutMs: 60_000 },
        { id: 'test', run: 'npm test', timeoutMs: 600_000 },
      ],
    },
    work: [
      { id: 'parse', description: 'Quote and escape fields', phase: 'implementation', priority: 5, needs: [], files: ['src/csv.ts'] },
      {
        id: 'export',
        description: 'Flag --csv',
        phase: 'implementation',
        priority: 1,
        needs: ['parse'],
        files: [],
        deadlineMs: 300_000,
      },
    ],
    replies: [
      { ...ANY, agent: 'coder', item: 'parse', turn: 1, toolCalls: [{ name: 'write', args: { path: 'src/csv.ts', content: 'x' } }] },
      { ...ANY, agent: 'coder', match: 'tests? failed', reply: 'Fixed.', tokens: { input: 900, output: 120 }, delayMs: 200 },
      { ...ANY, agent: 'coder', item: 'export', times: 1, error: { code: 'E_PROVIDER_TIMEOUT', retry: 'backoff' } },
      { ...ANY, agent: 'reviewer', reply: { verdict: 'approved', feedback: [] } },
      { ...ANY, agent: '*', reply: 'done' },
    ],
  })
})

test('the smallest task is a goal, in a file or as text', () => {
  const task = parseTask('goal: Add a --version flag.\n', 'task.yaml')
  expect(task).toEqual(taskFromText('Add a --version flag.'))
  expect({ supervision: task.supervision, loops: task.loops }).toEqual({
    supervision: { strategy: 'one_for_one', intensity: 3, periodMs: 60_000, backoff: null, startTimeoutMs: null, quarantine: null },
    loops: { maxConsecutiveRetries: 2, oscillation: true, similarity: 0.95, polling: [], pollingMs: 600_000 },
  })
  expect({ work: task.work, gates: task.gates, workspace: task.workspace, deadlineMs: task.deadlineMs, replies: task.replies }).toEqual({
    work: null,
    gates: { level: 'strict', checks: [] },
    workspace: { dir: '.', mode: 'auto', promote: 'gates' },
    deadlineMs: null,
    replies: [],
  })
})

test('a task survives being stored as JSON', () => {
  const task = parseTask(FULL, 'task.yaml')
  expect(JSON.parse(JSON.stringify(task))).toEqual(task)
})

test.each([
  ['200k', 200_000],
  ['1.5M', 1_500_000],
  ['42', 42],
  ['"42"', 42],
])('max_tokens %s is %d', (text, tokens) => {
  expect(parseTask(`goal: x\nbudget: {max_tokens: ${text}}\n`, 't').budget).toEqual({ tokensMax: tokens })
})

/** The error of a task that is refused. */
function refusal(text: string, file = 'task.yaml'): UserError {
  try {
    parseTask(text, file)
  } catch (error) {
    if (error instanceof UserError) return error
    throw error
  }
  throw new Error(`it was accepted:\n${text}`)
}

describe('a task that is refused', () => {
  test('is shown with file, line, column, the line itself and a mark below it', () => {
    const error = refusal('version: 1\ngoal: Add CSV\ndeadline: 35\nwork:\n  - {id: a, description: b, priority: 12}\n')
    expect({ code: error.code, message: error.message, ...error.options }).toEqual({
      code: 'E_TASK_INVALID',
      message: 'deadline: expected a duration with its unit, like 20m, got 35',
      where: 'task.yaml:3:11',
      fix: 'mend that line, then: troupe run task.yaml',
      exit: 3,
      file: 'task.yaml',
      line: 3,
      column: 11,
      evidence: ['   3 | deadline: 35', '     |           ^^', 'also task.yaml:5:39  work.0.priority: expected at most 9, got 12'],
      details: {
        problems: [
          { message: 'deadline: expected a duration with its unit, like 20m, got 35', line: 3, column: 11 },
          { message: 'work.0.priority: expected at most 9, got 12', line: 5, column: 39 },
        ],
      },
    })
  })

  test.each([
    ['goal: x\ncolour: red\n', '2:1', 'colour: unknown key; there are: version, name, goal, provider,'],
    ['goal: x\nbudget: {max_spawns: 2}\n', '2:10', 'budget.max_spawns: not supported yet'],
    ['goal: x\nagents: {coder: {count: 2}}\n', '2:18', 'agents.coder.count: not supported yet'],
    ['goal: x\nagents: {coder: {model: 35}}\n', '2:25', 'agents.coder.model: expected text, got 35'],
    ['goal: x\nagents: {orchestrator: {max_iterations: 2}}\n', '2:25', 'agents.orchestrator.max_iterations: not supported yet'],
    ['goal: x\nworkspace: {promote: approval}\n', '2:22', 'workspace.promote: "approval" is not supported yet'],
    ['goal: x\nsupervision: {strategy: all}\n', '2:25', 'supervision.strategy: expected one_for_one, one_for_all, rest_for_one, got "all"'],
    ['goal: x\nsupervision: {spawn: {depth: 3}}\n', '2:15', 'supervision.spawn: not supported yet'],
    [
      'goal: x\nsupervision: {backoff: {base_delay: 5s, max_delay: 1s}}\n',
      '2:24',
      'supervision.backoff: expected a max_delay of at least base_delay',
    ],
    ['goal: x\nsupervision: {backoff: {base_delay: 5s, jitter: 2}}\n', '2:49', 'supervision.backoff.jitter: expected at most 1, got 2'],
    ['goal: x\nloops: {max_consecutive_retries: 1}\n', '2:34', 'loops.max_consecutive_retries: expected'],
    ['goal: x\nloops: {similarity: 0.2}\n', '2:21', 'loops.similarity: expected a number from 0.5 to 1, got 0.2'],
    ['goal: x\nloops: {colour: red}\n', '2:9', 'loops.colour: unknown key; there are: max_consecutive_retries, oscillation,'],
    ['goal: x\nwork:\n  - {id: a, description: b, deadline: 5}\n', '3:39', 'work.0.deadline: expected a duration with its unit, like 20m'],
    ['goal: x\nprovider: replay\n', '2:11', 'provider: "replay" is not supported yet'],
    ['goal: x\nprovider: gpt\n', '2:11', 'provider: expected scripted, ollama, anthropic or openai-compatible, got "gpt"'],
    ['goal: x\nwork:\n  - {id: a, description: b, done_when: [test]}\n', '3:29', 'work.0.done_when: not supported yet'],
    ['goal: x\nwork:\n  - {id: a, descripton: b}\n', '3:5', 'work.0.description: expected text, got nothing'],
    ['goal: x\nwork: []\n', '2:7', 'work: expected at least one work item, or no `work` at all, got []'],
    ['version: 2\ngoal: x\n', '1:10', 'version: expected 1, the only version there is, got 2'],
    ['goal: x\nname: CSV\n', '2:7', 'name: expected a name: lower case letters'],
    ['goal: x\ndeadline: 0m\n', '2:11', 'deadline: expected a duration of 1ms to 365d, got "0m"'],
    ['goal: x\nbudget: {max_tokens: 2kk}\n', '2:22', 'budget.max_tokens: expected a whole number, like 200k, got "2kk"'],
    ['goal: x\nbudget: {max_tokens: -1}\n', '2:22', 'budget.max_tokens: expected a whole number, like 200k, got -1'],
    ['goal: x\ngates: {level: hard}\n', '2:16', 'gates.level: expected strict, warn, off, got "hard"'],
    ['goal: x\nreplies:\n  - {agent: coder, match: "(", reply: a}\n', '3:27', 'replies.0.match: expected a regular expression, got "("'],
    ['goal: x\nreplies:\n  - {agent: coder}\n', '3:5', 'replies.0: expected reply, tool_calls or error, got {"agent":"coder"}'],
    ['goal: 5\n', '1:7', 'goal: expected text, got 5'],
    ['name: x\n', '1:1', 'expected `goal` or `work`'],
    ['', '1:1', 'the file is empty'],
    ['- a\n', '1:1', 'expected a map'],
    ['goal: "x\n', '2:1', 'Missing closing "quote'],
    ['goal: a\ngoal: b\n', '2:1', 'Map keys must be unique'],
    ['goal: a\n---\ngoal: b\n', '2:1', 'Source contains multiple documents'],
    ['goal: "\\ud800"\n', '1:1', 'task.goal holds a string with a lone surrogate'],
    ['goal: x\ninput: {n: .inf}\n', '1:1', 'task.input.n holds Infinity'],
    ['goal: *gone\n', '1:1', 'Unresolved alias'],
  ])('%j at %s: %s', (text, place, message) => {
    const error = refusal(text)
    expect(error.options.where).toBe(`task.yaml:${place}`)
    expect(error.message).toContain(message)
    expect(error.options.exit).toBe(3)
  })

  test('shows at most six lines of evidence, and has every problem in its details', () => {
    const error = refusal(`goal: x\n${Array.from({ length: 9 }, (_, n) => `key${n}: 1\n`).join('')}`)
    expect(error.options.evidence?.length).toBe(6)
    expect(error.options.evidence?.at(-1)).toBe('and 5 more')
    expect(error.options.details?.['problems']).toHaveLength(9)
  })

  test('cannot expand itself without end', () => {
    const lines = [
      'a: &a [x, x, x, x, x, x, x, x, x]',
      ...'bcdefg'.split('').map((key, n) => `${key}: &${key} [${Array(9).fill(`*${'abcdef'[n]}`)}]`),
    ]
    expect(refusal(lines.join('\n')).message).toMatch(/alias/i)
  })
})

test('an empty text is no task', () => {
  expect(() => taskFromText('  ')).toThrow(UserError)
})

test('budgets of money and turns, of the run and of an agent, reach the tree; the run stands still where its own is reached', () => {
  const task = parseTask('goal: x\nbudget: {max_usd: 2.5, max_turns: 40}\nagents: {coder: {budget: {max_usd: 1, max_tokens: 90k}}}\n', 't')
  const { budget, tree } = teamTree(task, { dir: '.' })
  expect(budget).toEqual({ usdMax: 2.5, turnsMax: 40, whenReached: 'hold' })
  expect(tree.children.map(({ id, limits }) => [id, limits])).toEqual([
    ['coder', { budget: { usdMax: 1, tokensMax: 90_000 } }],
    ['reviewer', undefined],
    ['executor', undefined],
    ['orchestrator', undefined],
  ])
})
