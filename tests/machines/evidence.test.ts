/** Nothing reaches the user's files without evidence for exactly that tree: checked over random orders of answers, outcomes and failures. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createActor, fromPromise } from 'xstate'
import { orchestrator } from '../../src/machines/orchestrator.ts'
import type { AskParams } from '../../src/protocol.ts'
import { eventOf, INPUT, WORKSPACE } from './orchestrator-play.ts'

const ITEMS = [
  { id: 'one', description: 'One' },
  { id: 'two', description: 'Two' },
]
const TREES = ['tree-a', 'tree-b', 'tree-c'] as const

/** What happens next, whatever the orchestrator waits for. `late`: an answer to a question that is not open any more. */
const happening = fc.record({
  what: fc.oneof(
    { weight: 9, arbitrary: fc.constant('expected') },
    { weight: 1, arbitrary: fc.constantFrom('task', 'gate', 'review', 'stage', 'plan', 'down') },
  ),
  /** Null: the tree that is staged. */
  tree: fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.constantFrom(...TREES) }),
  good: fc.oneof({ weight: 6, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  late: fc.oneof({ weight: 14, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
})
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never

const EXPECTED: Readonly<Record<string, string>> = {
  opening: 'open',
  assigning: 'task',
  staging: 'stage',
  gating: 'gate',
  reviewing: 'review',
  collecting: 'plan',
  promoting: 'promoted',
}

/** An orchestrator whose effects never end by themselves, and a witness that keeps its own books. */
function witnessed(items: number) {
  const never = fromPromise(() => new Promise<never>(() => {}))
  const promotions: { tree: string; covered: boolean }[] = []
  const asks: AskParams[] = []
  const books = { staged: '', gate: new Set<string>(), review: new Set<string>() }
  const promote = fromPromise(({ input }: { input: { tree: string } }) => {
    const { tree } = input
    promotions.push({ tree, covered: books.staged === tree && books.gate.has(tree) && books.review.has(tree) })
    return new Promise<never>(() => {})
  })
  const machine = orchestrator.provide({
    actors: { generate: never, open: never, stage: never, plan: never, promote } as never,
    actions: { 'thread.append': () => {}, ask: (_, params) => void asks.push(params) },
  })
  const actor = createActor(machine, { input: { ...INPUT, work: ITEMS.slice(0, items), roundsMax: 5 } })
  actor.start()

  const answer = (
    state: string,
    kind: string,
    { good, late }: Happening,
    reply: { type: string; tree?: string; [key: string]: unknown },
  ): void => {
    const ask = late ? asks.at(-2) : asks.at(-1)
    if (ask === undefined) return
    const counts = !late && good && state === EXPECTED_STATE[kind]
    if (counts && kind === 'gate') books.gate.add(String(reply.tree))
    if (counts && kind === 'review') books.review.add(String(reply.tree))
    actor.send(eventOf(ask, reply))
  }
  const happen = (event: Happening): void => {
    const state = String(actor.getSnapshot().value)
    const { good } = event
    const tree = event.tree ?? (books.staged || TREES[0])
    const kind = event.what === 'expected' ? (EXPECTED[state] ?? 'task') : event.what
    const done = (id: string, output: object): void => actor.send({ type: `xstate.done.actor.${id}`, output, actorId: id } as never)
    if (kind === 'open') done('open', WORKSPACE)
    if (kind === 'promoted') done('promote', { tree, files: [] })
    if (kind === 'plan') done('plan', { target: '/project', tree, files: [{ path: 'a' }] })
    if (kind === 'down' && asks.length > 0) actor.send(eventOf(asks.at(-1)!, 'down'))
    if (kind === 'task') answer(state, kind, event, { type: 'task.done', summary: 'Done.' })
    if (kind === 'gate') answer(state, kind, event, gate(tree, good))
    if (kind === 'review') answer(state, kind, event, review(tree, good))
    if (kind !== 'stage') return
    if (state === 'staging') Object.assign(books, { staged: tree, gate: new Set(), review: new Set() })
    done('stage', { tree, files: ['a'], added: 1, removed: 0, diff: '', truncated: false })
  }
  return { happen, promotions, ended: () => actor.getSnapshot().status !== 'active', stop: () => actor.stop() }
}

const EXPECTED_STATE: Readonly<Record<string, string>> = { gate: 'gating', review: 'reviewing' }
let told = 0
const gate = (tree: string, passed: boolean) => {
  return { type: 'gate.result', passed, tree, summary: `round ${told++}`, checks: [{ id: 'test', exitCode: passed ? 0 : 1 }] }
}
const review = (tree: string, good: boolean) => {
  return { type: 'review.given', verdict: good ? 'approved' : 'needs_changes', feedback: [`point ${told++}`], tree }
}

test('no order of events promotes a tree that a passed gate and an approving review do not cover', () => {
  let promoted = 0
  fc.assert(
    fc.property(fc.array(happening, { minLength: 5, maxLength: 30 }), fc.constantFrom(1, 2), (events, items) => {
      const { happen, promotions, ended, stop } = witnessed(items)
      for (const event of events) if (!ended()) happen(event)
      stop()
      promoted += promotions.length
      expect(promotions.filter((promotion) => !promotion.covered)).toEqual([])
    }),
    { numRuns: 1_500 },
  )
  // A property that never sees a promotion proves nothing.
  expect(promoted).toBeGreaterThan(20)
})
