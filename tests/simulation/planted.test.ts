/**
 * The simulation finds what it is there for. Each bug is planted between the engine and what it stands on, never in the engine: in the steps that it is given, or in
 * what its store gives back. It must be found within a few seeds, by the rule that it breaks, and the seed must show it again.
 */
import { hash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Json } from '../../src/json.ts'
import { isSupervisor } from '../../src/protocol.ts'
import type { EncodedSnapshot, StepInput, StepResult } from '../../src/runtime/cell.ts'
import type { Host } from '../../src/runtime/engine.ts'
import type { Image, Store } from '../../src/runtime/store.ts'
import { memoryStore } from '../../src/runtime/stores/memory.ts'
import type { Planted } from '../../src/testing/process.ts'
import type { SimulationReport } from '../../src/testing/report.ts'
import { play, type Size, scenarioOf } from './scenario.ts'

const SIZE: Size = { min: 60, max: 120, gapMs: 500 }
const SEEDS_MAX = 60

const steps = (change: (result: StepResult, input: StepInput) => StepResult, only = isWorker): Planted => ({
  host: (host: Host) => ({ ...host, step: (input) => (only(input) ? change(host.step(input), input) : host.step(input)) }),
})
const inputs = (change: (input: StepInput) => StepInput): Planted => ({
  host: (host: Host) => ({ ...host, step: (input) => host.step(change(input)) }),
})
const images = (change: (image: Image, store: Store) => Image): Planted => ({
  store: (store: Store) => ({ ...store, image: (run, at) => change(store.image(run, at), store) }),
})

const isWorker = ({ machine }: StepInput): boolean => !isSupervisor(machine)
const isStatic = ({ machine }: StepInput): boolean => isSupervisor(machine)

/** A supervisor's snapshot after its step, with a window that has forgotten everything. */
function withoutWindow(result: StepResult): StepResult {
  if (result.snapshot === 'unchanged' || !result.snapshot.json.includes('"window":[')) return result
  const snapshot = JSON.parse(result.snapshot.json)
  const json = JSON.stringify({ ...snapshot, context: { ...snapshot.context, window: [] } })
  return { ...result, snapshot: { ...result.snapshot, json, hash: hash('sha256', json, 'hex') } satisfies EncodedSnapshot }
}

/** A supervisor that is told of one restart more, or one less, than its spec allows. */
function patient(input: StepInput, by: number): StepInput {
  const { envelope } = input
  if (!isStatic(input) || envelope.kind !== 'start') return input
  const given = envelope.event['input'] as { readonly spec: { readonly intensity?: number }; readonly input: Json }
  const intensity = Math.max(0, (given.spec.intensity ?? 1) + by)
  const event = { ...envelope.event, input: { ...given, spec: { ...given.spec, intensity } } as unknown as Json }
  return { ...input, envelope: { ...envelope, event } }
}

/** An effect that has its outcome, given back as if it were still to come. */
function unsettled(image: Image, store: Store): Image {
  const settled = store.effects(image.run.run).filter(({ status, policy }) => status === 'succeeded' && policy === 'repeat')
  const again = settled.slice(-1).map((row) => ({ ...row, status: 'started' as const, nextAt: 0, output: undefined }))
  return { ...image, effects: [...image.effects, ...again] }
}

/** A handler that is called twice for one start. */
const twice: Planted = {
  host: (host) => ({
    ...host,
    handler: (row) => {
      const { declaration, handler } = host.handler(row)
      const perform: typeof handler.perform = async (call) => {
        await handler.perform(call)
        return handler.perform(call)
      }
      return { declaration, handler: { ...handler, perform } }
    },
  }),
}

/** A store that returns from a commit which it has not written: a disk that lies. */
function lying(): Planted {
  const elsewhere = memoryStore()
  let commits = 0
  return {
    store: (store) => ({
      ...store,
      own: (run, owner, options) => {
        const owned = store.own(run, owner, options)
        return { ...owned, commit: (commit) => (++commits % 40 === 0 ? void elsewhere.path : owned.commit(commit)) }
      },
    }),
  }
}

const BUGS: Readonly<Record<string, { readonly planted: () => Planted; readonly by: readonly string[] }>> = {
  'a supervisor that forgets its window': {
    planted: () => steps(withoutWindow, isStatic),
    by: ['the count of a restart is what it is', 'a supervisor restarts no more often than its intensity'],
  },
  'a supervisor that allows one restart too many': {
    planted: () => inputs((input) => patient(input, 1)),
    by: ['a supervisor restarts no more often than its intensity'],
  },
  'a supervisor that gives up one restart too early': {
    planted: () => inputs((input) => patient(input, -1)),
    by: ['a supervisor gives up only when one more would be too many'],
  },
  'a timer that is not set': {
    planted: () => steps((result) => ({ ...result, timersSet: result.timersSet.slice(1) })),
    by: ['a timer that a step sets is set'],
  },
  'a timer that is lost by the process': {
    planted: () => images((image) => ({ ...image, timers: image.timers.filter(({ kind }) => kind !== 'event') })),
    by: ['a timer fires when it is due'],
  },
  'a lost envelope between actors': {
    planted: () => steps((result) => ({ ...result, sends: result.sends.filter(({ kind, ask }) => kind !== 'mail' || ask !== undefined) })),
    by: ['no event is lost'],
  },
  'a doubled envelope between actors': {
    planted: () =>
      steps((result) => ({ ...result, sends: result.sends.flatMap((send) => (send.ask === undefined ? [send, send] : [send])) })),
    by: ['no event is doubled'],
  },
  'an effect that nobody owes': {
    planted: () => steps((result) => ({ ...result, effectsOwed: [] })),
    by: ['what a step asks for is owed'],
  },
  'an effect that is performed again after its outcome': {
    planted: () => images(unsettled),
    by: ['an effect with an outcome is not performed again'],
  },
  'an effect that is performed twice': { planted: () => twice, by: ['an attempt is performed once'] },
  'a commit that is acknowledged and not written': {
    planted: lying,
    by: ['an acknowledged event is kept', 'the run goes on whatever happens', 'the journal has no holes'],
  },
}

test.each(Object.entries(BUGS))('%s is found, and its seed shows it again', { timeout: 300_000 }, async (name, { planted, by }) => {
  const { seed, report } = await firstFailure(planted)
  process.stderr.write(`planted: ${name} is found by seed ${seed}: ${report?.failure?.invariant}\n`)
  expect({ name, by: report?.failure?.invariant }).toEqual({ name, by: expect.toBeOneOf([...by]) })
  expect(report?.failure?.reproduce).toContain(`seed: ${seed}`)
  const again = await play(scenarioOf(seed, SIZE), seed, planted())
  expect(again.failure).toEqual(report?.failure)
})

async function firstFailure(planted: () => Planted): Promise<{ seed: number; report: SimulationReport | null }> {
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    const report = await play(scenarioOf(seed, SIZE), seed, planted())
    if (report.failure !== null) return { seed, report }
  }
  return { seed: 0, report: null }
}
