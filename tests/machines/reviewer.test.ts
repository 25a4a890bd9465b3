import { expect, test } from 'vitest'
import { type AnyActorRef, createActor, fromCallback, fromPromise } from 'xstate'
import { executor } from '../../src/machines/executor.ts'
import { reviewer } from '../../src/machines/reviewer.ts'
import type { Message } from '../../src/machines/vocabulary.ts'
import { WORKSPACE } from './orchestrator-play.ts'

type Event = { type: string; [key: string]: unknown }

const REQUEST = {
  type: 'review.request',
  item: { id: 'flag', description: 'Add the flag', phase: 'implementation', priority: 1, needs: [], files: [] },
  diff: '+const a = 1',
  tree: 'tree-1',
  round: 1,
}

/** Sends events that want an answer, and gives the next one. */
function asking(actor: { send(event: never): void }) {
  let took: (event: Event) => void = () => {}
  const asker = createActor(fromCallback<Event>(({ receive }) => receive((event) => took(event))))
  asker.start()
  return (event: Event): Promise<Event> =>
    new Promise((resolve) => {
      took = resolve
      actor.send({ ...event, replyTo: asker as AnyActorRef } as never)
    })
}

function reviewing(says: readonly (string | { code: string; message: string })[]) {
  const appended: Message[] = []
  const turns: number[] = []
  const generate = fromPromise(async ({ input }: { input: { turn: number } }) => {
    const said = says[Math.min(turns.push(input.turn), says.length) - 1]!
    if (typeof said !== 'string') throw said
    return { message: { role: 'assistant', content: said }, usage: { inputTokens: 1, outputTokens: 1, costUsd: 0 }, finish: 'stop' }
  })
  const machine = reviewer.provide({
    actors: { generate } as never,
    actions: { 'thread.append': (_, params) => void appended.push(...(params.items as readonly Message[])) },
  })
  const actor = createActor(machine, { input: { address: '/team/reviewer', system: 'You review.' } })
  actor.start()
  return { actor, ask: asking(actor), appended, turns }
}

test('a verdict names the tree that was shown', async () => {
  const { ask, appended } = reviewing(['{"verdict": "needs_changes", "feedback": ["Name it."], "type": "forged"}'])
  expect(await ask(REQUEST)).toEqual({ type: 'review.given', verdict: 'needs_changes', feedback: ['Name it.'], tree: 'tree-1' })
  expect(appended.map(({ role, content }) => [role, content])).toEqual([
    ['system', 'You review.'],
    ['user', 'Round 1 of work item flag: Add the flag\nThe change, tree tree-1:\n\n+const a = 1'],
    ['assistant', '{"verdict": "needs_changes", "feedback": ["Name it."], "type": "forged"}'],
  ])
})

test('a second round goes on in the same conversation', async () => {
  const { ask, appended, turns } = reviewing(['{"verdict": "needs_changes", "feedback": "one line"}', '{"verdict": "approved"}'])
  expect((await ask(REQUEST))['feedback']).toEqual(['one line'])
  expect(await ask({ ...REQUEST, round: 2, tree: 'tree-2' })).toEqual({
    type: 'review.given',
    verdict: 'approved',
    feedback: [],
    tree: 'tree-2',
  })
  expect(appended.filter((message) => message.role === 'system').length).toBe(1)
  expect(turns).toEqual([1, 2])
})

test('an answer that is no verdict may be repaired once', async () => {
  const { ask, appended } = reviewing(['Looks good to me!', '```json\n{"verdict": "approved", "feedback": []}\n```'])
  expect((await ask(REQUEST))['verdict']).toBe('approved')
  expect(appended[3]?.content).toBe('Your answer could not be used:\n- the answer is not JSON\nAnswer again with the JSON alone.')
})

test('two answers that are no verdict are a failure, never an approval', async () => {
  const { ask } = reviewing(['approved', '{"verdict": "yes"}'])
  const { type, error } = await ask(REQUEST)
  expect({ type, code: (error as { code: string }).code }).toEqual({ type: 'review.failed', code: 'E_PROVIDER_OUTPUT' })
})

test('a model that fails is a failure with its code', async () => {
  const { ask } = reviewing([{ code: 'E_PROVIDER_TIMEOUT', message: 'no token for 60 s' }])
  expect(await ask(REQUEST)).toEqual({ type: 'review.failed', error: { code: 'E_PROVIDER_TIMEOUT', message: 'no token for 60 s' } })
})

test('a request that does not fit is rejected with reasons', async () => {
  const { ask, actor, turns } = reviewing(['{"verdict": "approved"}'])
  expect(await ask({ type: 'review.request', diff: 1 })).toEqual({
    type: 'rejected',
    reasons: [
      'item: Invalid input: expected object, received undefined',
      'diff: Invalid input: expected string, received number',
      'tree: Invalid input: expected string, received undefined',
      'round: Invalid input: expected number, received undefined',
    ],
  })
  actor.send({ type: 'shutdown' })
  expect({ status: actor.getSnapshot().status, turns }).toEqual({ status: 'done', turns: [] })
})

function executing(gate: (input: unknown) => Promise<unknown>) {
  const machine = executor.provide({ actors: { gate: fromPromise(({ input }) => gate(input)) } as never })
  const actor = createActor(machine)
  actor.start()
  return { actor, ask: asking(actor) }
}
const GATE = { type: 'gate.run', workspace: WORKSPACE, tree: 'tree-1', checks: [{ id: 'test', run: 'npm test' }] }

test('the executor answers with what the gate found on the tree that was named', async () => {
  const inputs: unknown[] = []
  const found = { passed: true, tree: 'tree-1', summary: 'test passed', checks: [{ id: 'test', exitCode: 0 }] }
  const { ask, actor } = executing(async (input) => {
    inputs.push(input)
    return found
  })
  expect(await ask(GATE)).toEqual({ type: 'gate.result', ...found })
  const { type: _, ...input } = GATE
  expect(inputs).toEqual([input])
  expect(actor.getSnapshot().context).toEqual({ request: null, replyTo: null })
})

test('a gate that could not be run is a failure, not a result', async () => {
  const { ask } = executing(() => Promise.reject({ code: 'E_GATE_FAILED', message: 'the staged tree has changed' }))
  expect(await ask(GATE)).toEqual({ type: 'gate.failed', error: { code: 'E_GATE_FAILED', message: 'the staged tree has changed' } })
})

test('the newest request counts, and the one before it is given up', async () => {
  const trees: string[] = []
  const { ask } = executing((input) => {
    const { tree } = input as { tree: string }
    trees.push(tree)
    return tree === 'tree-1' ? new Promise(() => {}) : Promise.resolve({ passed: false, tree, summary: 'no', checks: [] })
  })
  void ask(GATE)
  expect(await ask({ ...GATE, tree: 'tree-2' })).toEqual({ type: 'gate.result', passed: false, tree: 'tree-2', summary: 'no', checks: [] })
  expect(trees).toEqual(['tree-1', 'tree-2'])
})

test('the executor rejects a request that does not fit, and takes a shutdown while it rests', async () => {
  const { ask, actor } = executing(() => Promise.reject(new Error('never')))
  expect(await ask({ ...GATE, checks: 'npm test' })).toEqual({
    type: 'rejected',
    reasons: ['checks: Invalid input: expected array, received string'],
  })
  actor.send({ type: 'shutdown' })
  expect(actor.getSnapshot().status).toBe('done')
})
