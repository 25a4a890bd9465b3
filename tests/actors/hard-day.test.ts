/**
 * A hard day of the whole team: the coder crashes, the reviewer repeats itself, a command of the executor hangs. Real engine, files and processes; only the
 * model is scripted. What a person is told afterwards is what the built program prints.
 *
 *   coder crashes --> restarted from its checkpoint      executor wedged --> its command is ended, restarted, asked again
 *   reviewer says the same twice --> within what the task allows: goes on --> verified
 *                                '-> beyond it: E_LOOP_ESCALATED, a person decides
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { teamEffects } from '../../src/actors/effects.ts'
import { scripted } from '../../src/actors/providers/scripted.ts'
import { parseTask } from '../../src/actors/task.ts'
import { teamMachines, teamTree } from '../../src/actors/team.ts'
import { createTroupe } from '../../src/actors/troupe.ts'
import { exitOf } from '../../src/catalogue.ts'
import type { Outcome } from '../../src/machines/ledger.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { type Place, place, troupe } from '../cli/process.ts'
import { type Fact, factsOf } from '../harness.ts'

/** Hangs the first time, and notes its process. Later ones do not go on while that process is there. */
const hanging = (note: string): string =>
  `[ -e ${note} ] || { echo $$ > ${note}; exec sleep 3600; }; n=0; while kill -0 $(cat ${note}); do n=$((n+1)); [ $n -lt 20 ] || exit 1; sleep 0.1; done; `

/** The reviewer says the same twice, and is content with the third round. */
const taskText = (retries: number, before = ''): string => `
name: hard-day
goal: The program says hello.
provider: scripted
workspace: {mode: copy}
loops: {max_consecutive_retries: ${retries}}
gates: {checks: [{id: says, run: '${before}grep -q hello says.txt'}]}
work: [{id: hello, description: Say hello}]
replies:
  - {agent: coder, turn: 1, tool_calls: [{name: write, args: {path: says.txt, content: "hello"}}], tokens: {input: 1000, output: 100}}
  - {agent: coder, turn: 3, tool_calls: [{name: write, args: {path: says.txt, content: "hello!"}}], tokens: {input: 2000, output: 100}}
  - {agent: coder, turn: 5, tool_calls: [{name: write, args: {path: says.txt, content: "hello\\n"}}], tokens: {input: 3000, output: 100}}
  - {agent: coder, reply: It says hello., tokens: {input: 10, output: 0}}
  - {agent: reviewer, turn: 3, reply: {verdict: approved}, tokens: {input: 500, output: 20}}
  - {agent: reviewer, reply: {verdict: needs_changes, feedback: [End the line.]}, tokens: {input: 500, output: 20}}
`

/** The coder throws at its first answer. */
function crashingOnce() {
  let crashes = 1
  const hasCalls = (_: unknown, { message }: { message: { toolCalls?: unknown[] | undefined } }): boolean => {
    if (crashes-- > 0) throw new Error('planted')
    return (message.toolCalls ?? []).length > 0
  }
  return { ...teamMachines, coder: teamMachines.coder.provide({ guards: { hasCalls } }) as typeof teamMachines.coder }
}

/** A whole day, to its end. A command without a sign of life is given up soon. */
async function day(at: Place, retries: number) {
  const hung = join(at.home, 'hung')
  const task = parseTask(taskText(retries, hanging(hung)), 'task.yaml')
  const store = sqliteStore({ path: join(at.home, 'troupe.db') })
  const { handlers } = teamEffects({ provider: scripted(task.replies), root: join(at.home, 'work') })
  const { tree, input, budget, name } = teamTree(task, { dir: at.dir })
  const children = tree.children.map((child) =>
    child.id === 'executor' ? { ...child, health: { suspectMs: 1_000, wedgedMs: 2_000 } } : child,
  )
  const opened = createTroupe({ store, machines: crashingOnce(), effects: handlers })
  const session = await opened.start({ ...tree, children }, { input, budget, name })
  const { status, reason, output, usage } = await session.done()
  const facts = factsOf(store, session.id)
  opened.close()
  return { run: session.id, status, code: reason?.code ?? null, outcome: output as unknown as Outcome, usage, facts }
}

const shown = async (at: Place, run: string): Promise<readonly string[]> => {
  const { exit, out } = await troupe(at, ['show', run, '--tree'])
  expect(exit).toBe(0)
  return out
    .replace(/\b(?:\d+m)?\d+(?:\.\d+)?m?s\b/g, 'TIME')
    .replace(/ +/g, ' ')
    .trimEnd()
    .split('\n')
}

/** What became of each of the three troubles, in the order of the journal. */
const troubles = (facts: readonly Fact[]): readonly string[] =>
  facts.flatMap(({ type, path, data }) => {
    if (type === 'actor.crashed') return [`${path} crashed ${data['code']}`]
    if (type === 'actor.restarted') return [`${path} restarted, from ${data['from']}`]
    if (type === 'health.changed' && data['to'] === 'wedged') return [`${path} ${data['from']} -> ${data['to']}`]
    if (type === 'loop.detected') return [`${data['kind']} loop, ${data['count']}`]
    if (type === 'gate.passed') return [type]
    return type === 'problem.escalated' ? [`for a ${data['to']}: ${data['code']}`] : []
  })

const MORNING = [
  '/team/coder crashed E_DEFECT',
  '/team/coder restarted, from checkpoint',
  '/team/executor suspect -> wedged',
  '/team/executor crashed E_WEDGED',
  '/team/executor restarted, from initial',
  'gate.passed', // The command that hung is gone: the check has looked.
  'gate.passed',
]

test('the whole hard day ends verified and promoted, and the tree tells who was restarted, why, and what it cost', async () => {
  const at = place()
  const { run, status, outcome, usage, facts } = await day(at, 3)
  const { verification, promoted } = outcome
  const says = readFileSync(join(at.dir, 'says.txt'), 'utf8')
  expect({ status, level: verification.level, promoted, restarts: usage.restarts, says }).toEqual({
    status: 'succeeded',
    level: 'verified',
    promoted: true,
    restarts: 2,
    says: 'hello\n',
  })
  expect(troubles(facts)).toEqual([...MORNING, 'gate.passed'])
  // The first turn was asked and paid for twice.
  expect(await shown(at, run)).toEqual([
    '✓ team succeeded, verified TIME 9k tok simulated',
    '├─ ✓ coder#2 done hello TIME 7.4k tok 1 restart (E_DEFECT)',
    '├─ ✓ reviewer done TIME 1.6k tok',
    '├─ ✓ executor#2 done TIME 0 tok 1 restart (E_WEDGED)',
    '└─ ✓ orchestrator done TIME 0 tok',
  ])
})

test('a reviewer that repeats itself beyond what the task allows ends the same day for a person: E_LOOP_ESCALATED, exit 7', async () => {
  const at = place()
  const { run, status, code, outcome, facts } = await day(at, 2)
  expect({ status, code, exit: exitOf(code ?? ''), promoted: outcome.promoted, changed: existsSync(join(at.dir, 'says.txt')) }).toEqual({
    status: 'failed',
    code: 'E_LOOP_ESCALATED',
    exit: 7,
    promoted: false,
    changed: false,
  })
  expect(troubles(facts)).toEqual([...MORNING, 'identical loop, 2', 'for a person: E_LOOP_ESCALATED'])
  expect(await shown(at, run)).toEqual([
    '✗ team failed: E_LOOP_ESCALATED TIME 5.4k tok simulated',
    '├─ ■ coder#2 stopped hello TIME 4.3k tok 1 restart (E_DEFECT)',
    '├─ ■ reviewer stopped TIME 1k tok',
    '├─ ■ executor#2 stopped TIME 0 tok 1 restart (E_WEDGED)',
    '└─ ✓ orchestrator done TIME 0 tok',
  ])
})

test('the program itself ends with 7 when the reviewer repeats itself, and with 0 when the task allows it', async () => {
  const ends = await Promise.all(
    [2, 3].map(async (retries) => {
      const at = place()
      writeFileSync(at.task, taskText(retries))
      const { exit, err } = await troupe(at, ['run', at.task])
      return { exit, told: err.includes('E_LOOP_ESCALATED') }
    }),
  )
  expect(ends).toEqual([
    { exit: 7, told: true },
    { exit: 0, told: false },
  ])
})
