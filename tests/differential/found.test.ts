/** What the differential test has found so far, each as the smallest machine that shows it. */
import { beforeEach, expect, test, vi } from 'vitest'
import { build } from './build.ts'
import { type Dying, diesBefore, expectSame } from './case.ts'
import { folderForLives, underTroupe } from './hosted.ts'
import type { Kid, Machine, Play, State } from './literal.ts'
import { underCreateActor } from './oracle.ts'

beforeEach(() => void vi.spyOn(console, 'warn').mockReturnValue())

const kid = (root: State, kids: Machine['kids'] = {}, sync = false): Kid => ({
  machine: { root, kids, catches: false },
  system: false,
  sync,
})
const plain: State = { initial: 'p', states: { p: {} } }
const send = (type: 'x' | 'y'): Play => ({ send: type, to: 0 })

const FOUND: Readonly<Record<string, { readonly machine: Machine; readonly plays: readonly Play[] }>> = {
  'a child that is kept in the context by the very step that ends its parent': {
    machine: {
      root: {
        initial: 'p',
        states: {
          p: { on: { x: [{ target: 'q', ops: [{ do: 'spawn', kid: 'a', how: 'assign' }] }] }, invoke: [{ id: 'i' }] },
          q: { type: 'final' },
        },
      },
      kids: {
        a: kid(plain),
        i: kid(
          {
            initial: 'p',
            states: { p: { on: { y: [{ target: 'q', ops: [{ do: 'spawn', kid: 'a', how: 'assign' }] }] } }, q: { type: 'final' } },
          },
          { a: kid(plain) },
        ),
      },
      catches: false,
    },
    plays: [{ send: 'y', to: 1 }, send('x')],
  },
  'children of a first step are started before anything that it sends is handled': {
    machine: {
      root: {
        initial: 'p',
        states: {
          p: {
            exit: [{ do: 'send', to: 'self', event: 'x' }],
            always: [{ target: 'q', ops: [{ do: 'spawn', kid: 'b', how: 'spawnChild' }] }],
          },
          q: {},
        },
      },
      kids: { b: kid(plain, {}, true) },
      catches: false,
    },
    plays: [send('x')],
  },
  'what an entry action sends to a child that is invoked anew under the same id': {
    machine: {
      root: {
        initial: 'p',
        states: {
          p: {
            on: { x: [{ target: 'q', ops: [] }] },
            after: { 31: { target: 'p', reenter: true, ops: [] } },
            entry: [{ do: 'send', to: 'j', event: 'y' }],
            invoke: [{ id: 'j' }],
          },
          q: { entry: [{ do: 'forward', to: 'j' }], invoke: [{ id: 'j' }] },
        },
      },
      kids: { j: kid(plain) },
      catches: false,
    },
    plays: [{ waitMs: 40 }, send('x'), send('y')],
  },
  'two regions whose `always` exclude each other, asked in the order in which they were entered': {
    machine: {
      root: {
        type: 'parallel',
        states: {
          p: {
            initial: 'p',
            states: {
              p: { always: [{ target: 'p.q', ops: [] }] },
              q: { always: [{ target: 'p', ops: [{ do: 'add', key: 'n', by: 1 }] }] },
            },
          },
          q: { always: [{ target: 'p', ops: [] }], initial: 'p', states: { p: {} } },
        },
      },
      kids: {},
      catches: false,
    },
    plays: [send('x'), send('x'), send('x')],
  },
  'an actor below a child that is stopped in this very step, looked up by its system id': {
    machine: {
      root: {
        initial: 'p',
        states: {
          p: {
            on: { x: [{ target: 'p', reenter: true, ops: [{ do: 'send', to: { system: '/i/a' }, event: 'y', delay: 5 }] }] },
            invoke: [{ id: 'i' }],
          },
        },
      },
      kids: {
        i: {
          machine: { root: plain, kids: { a: { ...kid(plain), system: true } }, first: 'a', catches: false },
          system: false,
          sync: false,
        },
      },
      catches: false,
    },
    plays: [send('x'), { waitMs: 10 }, send('x'), { waitMs: 10 }],
  },
  'what a child tells in its first step, and what it tells of mail that waited for it': {
    machine: {
      root: {
        initial: 'p',
        states: {
          p: {
            entry: [{ do: 'send', to: 'i', event: 'x' }],
            invoke: [{ id: 'i', onSnapshot: { ops: [] } }],
            on: { y: [{ target: 'p', reenter: true, ops: [] }] },
          },
        },
      },
      kids: { i: kid({ initial: 'p', states: { p: { on: { x: [{ ops: [{ do: 'add', key: 'n', by: 1 }] }] } } } }) },
      catches: false,
    },
    plays: [send('y'), send('y')],
  },
  'a child that is stopped by its reference once more': {
    machine: {
      root: { initial: 'p', states: { p: { on: { x: [{ ops: [{ do: 'stop', kid: 'b', by: 'ref' }] }] } } } },
      kids: { b: kid(plain) },
      first: 'b',
      catches: false,
    },
    plays: [send('x'), send('x'), send('y')],
  },
}

const WAYS: readonly { readonly turnStepsMax: number; readonly dying: Dying }[] = [
  { turnStepsMax: 256, dying: [] },
  { turnStepsMax: 1, dying: [] },
  { turnStepsMax: 256, dying: 'always' },
  { turnStepsMax: 1, dying: 'always' },
]

test.each(Object.entries(FOUND))('%s: the states are as under createActor', async (_, { machine, plays }) => {
  const folder = folderForLives()
  const trace: string[] = []
  const oracle = underCreateActor(build(machine, trace), trace, plays)
  if (typeof oracle === 'string') return expect.unreachable(`it is not compared: ${oracle}`)
  for (const { turnStepsMax, dying } of WAYS) {
    const seen: string[] = []
    expectSame(
      { plays },
      await underTroupe(build(machine, seen), seen, plays, { folder, turnStepsMax, diesBefore: diesBefore(dying) }),
      oracle,
    )
  }
})
