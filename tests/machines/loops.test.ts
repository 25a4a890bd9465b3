/** Rounds that go in circles (R1), by the names of its tests, and rounds that must not be taken for it. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkRetryLoop, type FeedbackMemory, type FeedbackOptions, type LoopCheck, NO_FEEDBACK } from '../../src/machines/loops.ts'

interface Sent {
  readonly status?: string
  readonly feedback?: readonly string[]
  readonly workspace?: string
}

/** One check after the other; stops at the first that aborts. `restored`: the memory is written and read between any two. */
function rounds(sent: readonly Sent[], options: FeedbackOptions = {}, roundsMax = 100, restored = false): readonly LoopCheck[] {
  let memory: FeedbackMemory = NO_FEEDBACK
  const checks: LoopCheck[] = []
  for (const [index, { status = 'needs_changes', feedback = [], workspace }] of sent.entries()) {
    const check = checkRetryLoop(status, feedback, index + 1, roundsMax, memory, { ...options, workspace })
    checks.push(check)
    if (check.abort) break
    memory = restored ? JSON.parse(JSON.stringify(check.memory)) : check.memory
  }
  return checks
}
const texts = (...feedback: string[]): readonly Sent[] => feedback.map((text, index) => ({ feedback: [text], workspace: `tree-${index}` }))
const found = (sent: readonly Sent[], options: FeedbackOptions = {}): unknown => rounds(sent, options).at(-1)?.loop?.kind ?? null

describe('R1: the same feedback again', () => {
  test('R1.1: the second identical feedback in a row is one too many, whatever its case, its durations and its white space', () => {
    const checks = rounds(texts('Took 12 ms.  Too slow', 'took 90ms. too slow'))
    expect(checks.map(({ abort, reason, loop }) => ({ abort, reason, kind: loop?.kind, count: loop?.count }))).toEqual([
      { abort: false, reason: null, kind: undefined, count: undefined },
      { abort: true, reason: 'identical loop, 2 times the same feedback', kind: 'identical', count: 2 },
    ])
    expect(checks[1]!.loop?.signature).toMatch(/^[0-9a-f]{64}$/)
  })

  test('R1.1: how many are one too many is configurable', () => {
    const same = texts(...Array<string>(9).fill('mend it'))
    expect([2, 3, 5].map((maxConsecutiveRetries) => rounds(same, { maxConsecutiveRetries }).length)).toEqual([2, 3, 5])
  })

  test('R1.2: other feedback starts the count again, and so does a round that was accepted', () => {
    const back: readonly Sent[] = [
      ...texts('mend the parser', 'name the flag', 'mend the parser'),
      { status: 'approved' },
      { feedback: ['mend the parser'], workspace: 'tree-9' },
    ]
    expect(rounds(back).map((check) => check.abort)).toEqual([false, false, false, false, false])
    const three = texts('a b c', 'a b c', 'd e f', 'a b c', 'a b c', 'a b c')
    expect(rounds(three, { maxConsecutiveRetries: 3 }).map((check) => check.memory.identical)).toEqual([1, 2, 1, 1, 2, 3])
  })

  test('R1.3: the memory survives a checkpoint: written and read between any two rounds, it decides as one that was not', () => {
    const feedback = fc.constantFrom('mend the parser', 'name the flag', 'Took 1 ms', 'took 2 ms', '')
    fc.assert(
      fc.property(fc.array(feedback, { maxLength: 12 }), (drawn) => {
        expect(rounds(texts(...drawn), {}, 100, true)).toEqual(rounds(texts(...drawn)))
      }),
    )
    expect(rounds(texts('x', 'x'), {}, 100, true).at(-1)?.abort).toBe(true)
  })

  test('R1.4: rounds are bounded by max_rounds, even where each says something else', () => {
    const other = texts(...Array.from({ length: 9 }, (_, i) => `point ${i}`))
    expect(rounds(other, {}, 3).map(({ abort, reason, loop }) => [abort, reason, loop])).toEqual([
      [false, null, null],
      [false, null, null],
      [true, 'no round is left: 3 of 3 are used', null],
    ])
  })

  test('AC1: there are no infinite retry loops: whatever is sent back, it ends by the count or by max_rounds', () => {
    const sent = fc.record({ feedback: fc.array(fc.string(), { maxLength: 4 }), workspace: fc.constantFrom('t1', 't2', 't3') })
    const limits = fc.record({ max: fc.integer({ min: 2, max: 6 }), roundsMax: fc.integer({ min: 1, max: 20 }) })
    fc.assert(
      fc.property(fc.array(sent, { minLength: 20, maxLength: 30 }), limits, (drawn, { max, roundsMax }) => {
        const checks = rounds(drawn, { maxConsecutiveRetries: max }, roundsMax)
        expect(checks.at(-1)?.abort).toBe(true)
        expect(checks.length).toBeLessThanOrEqual(roundsMax)
      }),
    )
  })
})

describe('other circles', () => {
  test('A-B-A-B is seen at its fourth round, in feedback and in the workspace, and not where it is switched off', () => {
    const back = texts('use a map', 'use a list', 'use a map', 'use a list')
    expect(rounds(back).map(({ loop }) => loop?.kind ?? null)).toEqual([null, null, null, 'oscillation'])
    expect(found(back, { oscillation: false })).toBe(null)
    const trees = ['t1', 't2', 't1', 't2'].map((workspace, index) => ({ feedback: [`words ${'abcd'[index]}`], workspace }))
    expect(found(trees)).toBe('oscillation')
  })

  const LONG = Array.from({ length: 200 }, (_, i) => `the ${'abcdefghij'[i % 10]}${'klmnopqrst'[i % 7]} part says too much about itself`)
  test('nearly the same words about the same names are seen, from the configured similarity on', () => {
    const one = `Please mend the parser in src/csv.ts, which is wrong.\n${LONG.join(' ')}`
    const other = `Please do mend the parser in src/csv.ts, which is wrong.\n${LONG.join(' ')}`
    expect(found(texts(one, other))).toBe('similar')
    expect(found(texts('Name the flag so that a reader knows it', 'Name the flag so that each reader knows it'))).toBe(null)
    expect(found(texts('Name the flag so that a reader knows it', 'Name the flag so that each reader knows it'), { similarity: 0.3 })).toBe(
      'similar',
    )
  })

  test('changes that were asked for twice by the same one, and a workspace that stayed as it was: no progress', () => {
    const sent = (one: string, other: string): readonly Sent[] => [
      { feedback: ['mend the parser'], workspace: one },
      { feedback: ['split the function'], workspace: other },
    ]
    expect(found(sent('review tree-1', 'review tree-1'))).toBe('no_progress')
    expect(found(sent('review tree-1', 'review tree-2'))).toBe(null)
  })
})

describe('what is no loop', () => {
  const log = (failed: string): string =>
    `WORKFLOW FAILURE: test failed with exit code 1\n${Array.from({ length: 300 }, (_, i) => `ok ${i} passes well enough`).join('\n')}\n${failed}`
  test.each<[string, readonly Sent[]]>([
    [
      'feedback that names other failing tests in an else equal log',
      texts(log('not ok rejects empty input'), log('not ok takes quoted input')),
    ],
    ['fewer failing tests than before', texts(log('3 tests failed'), log('2 tests failed'))],
    ['one point of forty that was mended', texts(points(40).join('\n'), points(39).join('\n'))],
    ['another file with the same problem', texts('Add a header comment to src/a.ts', 'Add a header comment to src/b.ts')],
    [
      'a flaky gate, and then the reviewer about the same tree',
      [
        { feedback: ['test failed'], workspace: 'gate tree-1' },
        { feedback: ['name the flag'], workspace: 'review tree-1' },
      ],
    ],
    ['A-B-A: a fault that came back once', texts('mend a', 'mend b', 'mend a')],
    ['A-B-A-C', texts('mend a', 'mend b', 'mend a', 'mend c')],
    [
      'rounds about which nothing is known but their feedback',
      [{ feedback: ['a'] }, { feedback: ['b'] }, { feedback: ['c'] }, { feedback: ['d'] }],
    ],
  ])('%s', (_, sent) => {
    expect(rounds(sent).map((check) => check.loop)).toEqual(sent.map(() => null))
  })
})

function points(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `mend the ${'abcdefghijklmnopqrstuvwxyz'[i % 26]}${i < 26 ? 'x' : 'y'} thing well`)
}

describe('whatever comes', () => {
  test('the memory of a thousand rounds is that of four', () => {
    let memory = NO_FEEDBACK
    for (let i = 0; i < 1_000; i++)
      memory = checkRetryLoop('needs_changes', [`point ${i}`], i, 9_999, memory, { workspace: `tree-${i}` }).memory
    expect(memory.rounds.length).toBe(4)
    expect(JSON.stringify(memory).length).toBeLessThan(1_000)
  })

  const text = fc.oneof(fc.constantFrom('a', 'b', 'mend it'), fc.string({ maxLength: 4_000 }), fc.lorem({ maxCount: 300 }))
  test('the memory stays below 4 kB, and a run of identical feedback is caught at exactly the configured count', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 12 }), text, fc.integer({ min: 2, max: 6 }), (before, repeated, max) => {
        const options = { maxConsecutiveRetries: max, similarity: 2, oscillation: false }
        let memory = NO_FEEDBACK
        for (const feedback of before) memory = checkRetryLoop('needs_changes', [feedback], 1, 99, memory, options).memory
        expect(JSON.stringify(memory).length).toBeLessThan(4_096)
        memory = checkRetryLoop('approved', [], 1, 99, memory, options).memory
        for (let count = 1; count <= max; count++) {
          const check = checkRetryLoop('needs_changes', [repeated], 1, 99, memory, options)
          expect({ abort: check.abort, kind: check.loop?.kind }).toEqual(
            count < max ? { abort: false, kind: undefined } : { abort: true, kind: 'identical' },
          )
          memory = check.memory
          expect(JSON.stringify(memory).length).toBeLessThan(4_096)
        }
      }),
      { numRuns: 150 },
    )
  })
})
