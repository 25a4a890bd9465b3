/**
 * Eight agents that spend on command, under nested budgets, and a world that is as unkind as it can be: calls that cost exactly their worst case, fail and have
 * cost all the same, hang, answer late, say nothing, or go on after they were told to stop. What a call costs is paid when it begins.
 *
 *   /team           the run: 0.05 USD
 *   ├─ left         0.04 USD              a1 a2 a3 (from its checkpoint) a4
 *   └─ right        9,000 tokens          b1 (3 turns) b2 b3 (0.008 USD) b4
 *
 * A call reserves 0.002 USD, 1,000 tokens and a turn: 25 of them are all that the run can pay.
 */
import { assign, setup } from 'xstate'
import { z } from 'zod'
import type { TroupeOptions } from '../../src/actors/troupe.ts'
import { type EffectCall, effect, Failure, type Usage } from '../../src/effect.ts'
import type { Budget, SupervisorSpec } from '../../src/protocol.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { Machines } from '../../src/runtime/registry.ts'
import { Chance, chanceOf } from '../../src/testing/chance.ts'
import type { SimulatedEvent } from '../../src/testing/simulate.ts'

const WORST = { tokens: 1_000, usd: 0.002, turns: 1 }
export const RUN_BUDGET = { usdMax: 0.05 } satisfies Budget

const call = effect({
  kind: 'llm.spend',
  input: z.object({ n: z.number() }),
  output: z.number(),
  repeat: 'repeat',
  timeoutMs: 3_000,
  retry: { maxAttempts: 3, baseDelayMs: 100, maxDelayMs: 1_000, exponentialBase: 2 },
  reserve: () => WORST,
})

/** Makes `calls` calls in a row when told to work; `leave` takes it away from the one that it waits for. */
const agent = setup({
  types: { context: {} as { n: number; left: number }, events: {} as { type: 'work' | 'leave' | 'crash' | 'shutdown' } },
  actors: { call },
}).createMachine({
  id: 'agent',
  context: { n: 0, left: 0 },
  initial: 'idle',
  on: {
    shutdown: '.over',
    crash: {
      actions: assign(() => {
        throw new Error('an agent breaks')
      }),
    },
  },
  states: {
    idle: { on: { work: { target: 'calling', actions: assign({ left: 2 }) } } },
    calling: {
      on: { leave: 'idle' },
      invoke: {
        src: 'call',
        input: ({ context }) => ({ n: context.n }),
        onDone: [
          {
            guard: ({ context }) => context.left > 1,
            target: 'calling',
            reenter: true,
            actions: assign({ n: ({ context }) => context.n + 1, left: ({ context }) => context.left - 1 }),
          },
          { target: 'idle', actions: assign({ n: ({ context }) => context.n + 1 }) },
        ],
        onError: 'idle',
      },
    },
    over: { type: 'final' },
  },
})
export const machines = { agent } satisfies Machines

const one = (id: string, more: object = {}) => ({ id, src: 'agent', ...more })
const flags = { intensity: 1_000, periodMs: 10_000 }
export const tree: SupervisorSpec = {
  id: 'team',
  ...flags,
  children: [
    {
      id: 'left',
      ...flags,
      limits: { budget: { usdMax: 0.04 } },
      children: [one('a1'), one('a2'), one('a3', { from: 'checkpoint' }), one('a4', { restart: 'transient' })],
    },
    {
      id: 'right',
      ...flags,
      limits: { budget: { tokensMax: 9_000 } },
      children: [
        one('b1', { limits: { budget: { turnsMax: 3 } } }),
        one('b2'),
        one('b3', { limits: { budget: { usdMax: 0.008 } }, from: 'checkpoint' }),
        one('b4'),
      ],
    },
  ],
}
export const LIMITS: Readonly<Record<string, Budget>> = {
  '': RUN_BUDGET,
  '/team/left': { usdMax: 0.04 },
  '/team/right': { tokensMax: 9_000 },
  '/team/right/b1': { turnsMax: 3 },
  '/team/right/b3': { usdMax: 0.008 },
}
const AGENTS = ['left/a1', 'left/a2', 'left/a3', 'left/a4', 'right/b1', 'right/b2', 'right/b3', 'right/b4'].map((path) => `/team/${path}`)

/** What is sent to whom: mostly work, close together. */
export function orders(seed: number, count: number): SimulatedEvent[] {
  const chance = new Chance(seed, 'orders')
  return Array.from({ length: count }, () => ({
    to: chance.of(AGENTS)!,
    event: { type: chance.of(['work', 'work', 'work', 'work', 'leave', 'leave', 'crash'])! },
    afterMs: chance.below(400),
  }))
}

/** What the world has been paid, by whom, in nano-dollars and tokens: told by nobody, and never forgotten. */
export class World {
  calls = 0
  nanoUsd = 0
  readonly #paid: { readonly path: string; readonly effect: string; readonly nanoUsd: number; readonly tokens: number }[] = []
  /** Budgets that were overdrawn in the world, and when. */
  readonly overdrawn: string[] = []

  pay(path: string, effect: string, usage: Usage): void {
    this.calls++
    const paid = { path, effect, nanoUsd: Math.round(usage.costUsd! * 1e9), tokens: usage.inputTokens + usage.outputTokens }
    this.nanoUsd += paid.nanoUsd
    this.#paid.push(paid)
    for (const [at, { usdMax, tokensMax }] of Object.entries(LIMITS)) {
      const [usd, tokens] = this.below(at)
      if (usdMax !== undefined && usd > Math.round(usdMax * 1e9)) this.overdrawn.push(`${at || 'the run'}: ${usd} of ${usdMax} USD`)
      if (tokensMax !== undefined && tokens > tokensMax) this.overdrawn.push(`${at}: ${tokens} of ${tokensMax} tokens`)
    }
  }

  /** Nano-dollars that one call was paid, over all its attempts. */
  paidFor(id: string): number {
    return this.#paid.reduce((sum, { effect, nanoUsd }) => (effect === id ? sum + nanoUsd : sum), 0)
  }

  /** Nano-dollars and tokens of an address and those below it. */
  below(at: string): [number, number] {
    const own = this.#paid.filter(({ path }) => path === at || path.startsWith(`${at}/`))
    return [own.reduce((sum, { nanoUsd }) => sum + nanoUsd, 0), own.reduce((sum, { tokens }) => sum + tokens, 0)]
  }
}

type Manner = 'answers' | 'fails' | 'fails free' | 'hangs' | 'is silent' | 'is deaf'

/** What an attempt does is decided by the seed and by which one it is. */
export function handlers(seed: number, world: World): (clock: Clock) => NonNullable<TroupeOptions<Machines>['effects']> {
  return (clock) =>
    ({
      'llm.spend': {
        perform: async (call: EffectCall<{ n: number }>) => {
          const chance = (what: string) => chanceOf(seed, what, call.id, call.attempt)
          const manner = mannerOf(chance('manner'))
          const usage = manner === 'fails free' ? usageOf(0) : usageOf(chance('cost') < 0.3 ? 1 : chance('cost'))
          world.pay(call.path, call.id, usage)
          if (chance('when') < 0.5) call.spent(usage)
          await pause(clock, Math.ceil(chance('time') * 2_000), manner === 'is deaf' ? undefined : call.signal).catch((reason: unknown) => {
            if (manner !== 'is silent') call.spent(usage)
            throw reason
          })
          if (manner === 'hangs' || manner === 'is silent' || manner === 'is deaf')
            await pause(clock, 20_000, manner === 'is deaf' ? undefined : call.signal).catch((reason: unknown) => {
              if (manner === 'hangs') call.spent(usage)
              throw reason
            })
          call.spent(usage)
          if (manner === 'fails' || manner === 'fails free') throw new Failure('E_PROVIDER_OVERLOADED', 'no', { retry: 'backoff' })
          return call.input.n
        },
      },
    }) as never
}

function mannerOf(chance: number): Manner {
  const rates: readonly (readonly [Manner, number])[] = [
    ['fails', 0.2],
    ['fails free', 0.1],
    ['hangs', 0.08],
    ['is silent', 0.05],
    ['is deaf', 0.05],
  ]
  let sum = 0
  for (const [manner, rate] of rates) {
    sum += rate
    if (chance < sum) return manner
  }
  return 'answers'
}

/** A part of the worst case, in odd amounts that floating point cannot add up. */
function usageOf(part: number): Usage {
  const tokens = Math.floor(part * WORST.tokens)
  return {
    inputTokens: Math.floor(tokens / 3),
    outputTokens: tokens - Math.floor(tokens / 3),
    costUsd: part === 1 ? WORST.usd : Math.floor(part * 2_000_000) / 1e9,
  }
}

function pause(clock: Clock, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimer(delayMs, resolve)
    signal?.addEventListener('abort', () => {
      cancel()
      reject(signal.reason)
    })
  })
}
