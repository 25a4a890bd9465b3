/** Tool calls that go in circles (P4, P5), and calls that must not be taken for it. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  blockToolCall,
  type Call,
  isPolling,
  judgeToolCall,
  NO_CALLS,
  pollingExpired,
  settleToolCall,
  type ToolLoopOptions,
  type ToolMemory,
} from '../../src/machines/tool-loops.ts'

/** A model that calls tools in a workspace. Says of each call what was made of it: `ok`, `nudge`, `block`, `escalate`. */
function calling(options: ToolLoopOptions = {}, restored = false) {
  const state = { memory: NO_CALLS as ToolMemory, workspace: 'w0' }
  const keep = (memory: ToolMemory): void => {
    state.memory = restored ? JSON.parse(JSON.stringify(memory)) : memory
  }
  return {
    state,
    expire: () => keep(pollingExpired(state.memory)),
    call: (name: string, args: Call['args'], result: string, after = state.workspace): string => {
      const call = { name, args }
      const judged = judgeToolCall(state.memory, call, state.workspace, options)
      if (judged.verdict === 'block') keep(blockToolCall(state.memory, call, options))
      if (judged.verdict !== 'allow') return judged.verdict
      const settled = settleToolCall(state.memory, call, { before: state.workspace, after, result }, options)
      keep(settled.memory)
      state.workspace = after
      return settled.nudge === null ? 'ok' : 'nudge'
    },
  }
}
const times = <T>(count: number, act: (index: number) => T): readonly T[] => Array.from({ length: count }, (_, index) => act(index))

describe('the same call again', () => {
  test('is nudged, blocked, and escalated: at the second, third and fourth time', () => {
    const { call } = calling()
    expect(times(4, () => call('read', { path: 'a.ts' }, 'text'))).toEqual(['ok', 'nudge', 'block', 'escalate'])
  })

  test('is the same however its arguments are put, and whatever time it took', () => {
    const { call } = calling()
    const said = [
      call('search', { path: './src', text: 'x' }, 'found in 12 ms'),
      call('search', { text: 'x', path: 'src' }, 'found in 90 ms'),
      call('search', { path: 'src ', text: 'x' }, ''),
    ]
    expect(said).toEqual(['ok', 'nudge', 'block'])
  })

  test('counts when it fails, and when it is a write that succeeds each time (P4)', () => {
    const failing = calling()
    expect(times(4, () => failing.call('edit', { path: 'a', old: 'x', new: 'y' }, 'error[E_USAGE] not found'))).toEqual([
      'ok',
      'nudge',
      'block',
      'escalate',
    ])
    const writing = calling()
    expect(times(4, () => writing.call('write', { path: 'a', content: 'x' }, 'wrote a', 'w1'))).toEqual([
      'ok',
      'nudge',
      'block',
      'escalate',
    ])
  })

  test('counts among other calls: a circle of three is stopped in its third turn, and one of two writes as well', () => {
    const reading = calling()
    const turn = (): readonly string[] => ['a', 'b', 'c'].map((path) => reading.call('read', { path }, `text of ${path}`))
    expect(times(4, turn)).toEqual([Array(3).fill('ok'), Array(3).fill('nudge'), Array(3).fill('block'), Array(3).fill('escalate')])
    const writing = calling()
    const toggle = (content: string): string => writing.call('write', { path: 'a', content }, 'wrote a', `w-${content}`)
    expect(times(3, () => [toggle('x'), toggle('y')]).flat()).toEqual(['ok', 'ok', 'nudge', 'nudge', 'block', 'block'])
  })

  test('has configurable counts', () => {
    const { call } = calling({ nudgeAt: 3, blockAt: 5, escalateAt: 6 })
    expect(times(6, () => call('list', {}, '[]'))).toEqual(['ok', 'ok', 'nudge', 'nudge', 'block', 'escalate'])
  })

  test('is known after a checkpoint: the memory may be written and read between any two calls', () => {
    const { call } = calling({}, true)
    expect(times(4, () => call('read', { path: 'a.ts' }, 'text'))).toEqual(['ok', 'nudge', 'block', 'escalate'])
  })
})

describe('polling', () => {
  const options = { polling: ['npm run wait*', 'read status*', 'watch'] }
  test.each<[string, Call['args'], boolean]>([
    ['run', { command: 'npm run wait:db  -- --fast' }, true],
    ['run', { command: 'npm run build' }, false],
    ['read', { path: './status.txt' }, true],
    ['read', { path: 'src/status.txt' }, false],
    ['watch', { anything: 1 }, true],
    ['wait', {}, false],
  ])('%s %j polls: %s', (name, args, polls) => {
    expect(isPolling({ name, args }, options.polling)).toBe(polls)
  })

  test('is exempt for as long as its deadline has not passed, then blocked once, then escalated', () => {
    const { call, expire } = calling(options)
    expect(new Set(times(500, () => call('read', { path: 'status.txt' }, 'pending')))).toEqual(new Set(['ok']))
    expire()
    expect(times(2, () => call('read', { path: 'status.txt' }, 'pending'))).toEqual(['block', 'escalate'])
  })

  test('what it sees for the first time, or a change of the workspace, is progress: the deadline starts again', () => {
    const { call, expire, state } = calling(options)
    const poll = (result: string) =>
      settleToolCall(state.memory, { name: 'watch', args: {} }, { before: 'w0', after: 'w0', result }, options)
    call('watch', {}, '1 of 3')
    expect([poll('1 of 3').progress, poll('2 of 3').progress]).toEqual([false, true])
    expire()
    call('write', { path: 'a', content: 'x' }, 'wrote a', 'w1')
    expect(call('watch', {}, '1 of 3')).toBe('ok')
  })
})

describe('what is no loop', () => {
  test('polling whose result changes, with no pattern for it', () => {
    const { call } = calling()
    expect(new Set(times(60, (i) => call('run', { command: 'gh run view' }, `${i} of 60 jobs are done`)))).toEqual(new Set(['ok']))
  })

  test('cycles of build, test and edit, each with a changed workspace', () => {
    const { call, state } = calling()
    const cycle = (i: number): readonly string[] => [
      call('run', { command: 'npm run build' }, 'built'),
      call('run', { command: 'npm test' }, 'FAIL 1 test'),
      call('edit', { path: 'a.ts', old: `v${i}`, new: `v${i + 1}` }, 'wrote a.ts', `w${i + 1}`),
    ]
    expect(new Set(times(30, cycle).flat())).toEqual(new Set(['ok']))
    expect(state.workspace).toBe('w30')
  })

  test('the same read twice, after an edit of that file or of another', () => {
    const { call } = calling()
    call('read', { path: 'a.ts' }, 'one')
    call('edit', { path: 'a.ts', old: 'one', new: 'two' }, 'wrote a.ts', 'w1')
    expect(call('read', { path: 'a.ts' }, 'two')).toBe('ok')
    call('read', { path: 'b.ts' }, 'b')
    call('edit', { path: 'a.ts', old: 'two', new: 'three' }, 'wrote a.ts', 'w2')
    expect([call('read', { path: 'b.ts' }, 'b'), call('read', { path: 'a.ts' }, 'three')]).toEqual(['ok', 'ok'])
  })

  test('forty files that are read one after the other', () => {
    const { call } = calling()
    expect(new Set(times(40, (i) => call('read', { path: `src/${i}.ts` }, 'license header')))).toEqual(new Set(['ok']))
  })
})

test('whatever is called, the memory stays below 4 kB, and the fourth identical call in a row never gets through', () => {
  const drawn = fc.record({
    name: fc.oneof(fc.constantFrom('read', 'watch'), fc.string({ maxLength: 200 })),
    args: fc.dictionary(fc.constantFrom('path', 'content', 'command', 'x'), fc.string({ maxLength: 500 }), { maxKeys: 3 }),
    result: fc.string({ maxLength: 500 }),
    after: fc.constantFrom('w0', 'w1', 'w2'),
    expire: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(drawn, { maxLength: 60 }), drawn, (before, { args, result, after }) => {
      const { call, state, expire } = calling({ polling: ['watch'] })
      for (const each of before) {
        call(each.name, each.args, each.result, each.after)
        if (each.expire) expire()
        expect(JSON.stringify(state.memory).length).toBeLessThan(4_096)
      }
      expect(times(4, () => call('same', args, result, after)).at(-1)).toBe('escalate')
    }),
    { numRuns: 150 },
  )
})
