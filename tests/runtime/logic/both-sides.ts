/**
 * The same machine and the same events under `createActor` with its simulated clock (`there`), and under Troupe (`here`): how an actor stands in the end,
 * and what crashed it.
 */
import { type AnyStateMachine, assign, createActor, SimulatedClock, setup } from 'xstate'
import type { Json } from '../../../src/json.ts'
import { factsOf, only, openLife, temporaryFolder, VirtualClock } from '../../harness.ts'

/** An event, or milliseconds that pass. */
export type Beat = { readonly type: string; readonly [key: string]: Json } | number
interface Side {
  readonly status?: string
  readonly value?: unknown
  readonly context?: unknown
  /** Of the actor, when it has crashed. */
  readonly error?: unknown
}

const rounds = async (): Promise<void> => {
  for (let round = 0; round < 4; round++) await new Promise<void>((resolve) => setImmediate(resolve))
}

/** Under `createActor`, with its simulated clock. */
export async function there(machine: AnyStateMachine, script: readonly Beat[]): Promise<Side> {
  const clock = new SimulatedClock()
  const actor = createActor(machine, { clock, logger: () => {} } as never)
  let error: unknown
  actor.subscribe({
    error: (thrown) => {
      error = thrown instanceof Error ? thrown.message : thrown
    },
  })
  actor.start()
  for (const beat of script) {
    if (typeof beat === 'number') clock.increment(beat)
    else actor.send(beat as never)
    await rounds()
  }
  const { status, value, context } = actor.getSnapshot()
  actor.stop()
  return { status, value, context, ...(error === undefined ? {} : { error }) }
}

/** Under Troupe. What crashed it last is its error; `more` is what the journal adds. */
export async function here(
  machine: AnyStateMachine,
  script: readonly Beat[],
): Promise<Side & { facts(...types: string[]): { readonly [key: string]: Json }[] }> {
  const clock = new VirtualClock()
  const life = openLife(temporaryFolder(), { machines: { m: machine }, clock })
  const session = await life.troupe.start(only('m', { restart: 'temporary', significant: false }), { id: 'r' })
  await clock.settled()
  for (const beat of script) {
    if (typeof beat === 'number') await clock.advance(beat)
    else await session.send('/top/one', beat).catch(() => {})
    await clock.settled()
  }
  const { status, value, context } = session.snapshot('/top/one') ?? { status: 'gone', value: null, context: null }
  const [crash] = factsOf(life.store, 'r', 'actor.crashed').slice(-1)
  const facts = (...types: string[]) => factsOf(life.store, 'r', ...types).map(({ data }) => data)
  const stopping = session.stop()
  await clock.advance(10_000)
  await stopping
  return { status, value, context, facts, ...(crash === undefined ? {} : { error: crash.data['code'] }) }
}

export const m = (config: object, actors: object = {}): AnyStateMachine =>
  setup({ actors: actors as never }).createMachine({ id: 'm', ...config } as never) as never
export const boom = (): never => {
  throw new Error('boom')
}
export const GO: Beat = { type: 'go' }
export const on = (actions: unknown): object => ({
  context: { kept: null },
  on: { go: { actions }, x: { actions: assign({ kept: 'x' }) } },
})
export const code = async (machine: AnyStateMachine, script: readonly Beat[] = [GO]): Promise<unknown> =>
  (await here(machine, script)).error
export const passes = async (machine: AnyStateMachine, script: readonly Beat[] = [GO]): Promise<unknown> =>
  (await there(machine, script)).status
