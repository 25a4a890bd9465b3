/** Runs of writers that were killed, and the processes that find them with another machine. */
import { expect } from 'vitest'
import { type AnyStateMachine, assign, setup } from 'xstate'
import { z } from 'zod'
import { effect } from '../../src/effect.ts'
import { UserError } from '../../src/errors.ts'
import type { Migration, MigrationSpec } from '../../src/runtime/migrations.ts'
import { factsOf, type Life, openLife, temporaryFolder, VirtualClock } from '../harness.ts'

type Config = { readonly [key: string]: unknown }
/** A machine `m` of this configuration, whatever its types are. */
export const lone = (config: Config, actors: Record<string, never> = {}): AnyStateMachine =>
  setup({ actors }).createMachine({ id: 'm', ...config } as never) as unknown as AnyStateMachine

/** The actor of these runs, in its first version: it drafts, waits, and has a review performed. */
const review = effect({ kind: 'review.do', input: z.object({}).optional(), output: z.number(), repeat: 'repeat' })
const helper = setup({}).createMachine({ id: 'helper', initial: 'idle', states: { idle: {} } })
export const actors = { review, helper } as unknown as Record<string, never>
type Events = { type: 'write'; text: string } | { type: 'review' | 'ask' | 'end' | 'nap' | 'last.breath' }
export const first = setup({
  types: { context: {} as { words: string[] }, events: {} as Events },
  actors: { review, helper },
}).createMachine({
  id: 'writer',
  context: { words: [] },
  initial: 'draft',
  on: { write: { actions: assign({ words: ({ context, event }) => [...context.words, event.text] }) }, end: '.done' },
  states: {
    draft: { on: { review: 'review', ask: 'asking', nap: 'napping' } },
    review: { invoke: { src: 'review', id: 'check' }, after: { 60000: 'draft' } },
    asking: { invoke: { src: 'helper', id: 'help', systemId: 'helper' } },
    napping: { after: { 5000: 'draft' } },
    done: { type: 'final' },
  },
  output: ({ context }) => context.words.length,
})
/** Its second version: reviews are gone, words are counted, and it naps for as long as somebody says. */
const secondSetup = setup({
  types: { context: {} as { count: number; naps: number }, events: {} as Events | { type: 'migrated' } },
  delays: { nap: 5_000 },
})
export const second = secondSetup.createMachine({
  id: 'writer',
  version: '2',
  context: { count: 0, naps: 0 },
  initial: 'draft',
  on: { write: { actions: assign({ count: ({ context }) => context.count + 1 }) }, end: '.done', migrated: '.napping' },
  states: {
    draft: { on: { nap: 'napping' } },
    napping: { after: { nap: { target: 'draft', actions: assign({ naps: ({ context }) => context.naps + 1 }) } } },
    done: { type: 'final' },
  },
  output: ({ context }) => context.count,
})
export const toSecond: Migration = ({ value, context }) => ({
  value: value === 'napping' ? 'napping' : 'draft',
  context: { count: (context as { words: string[] }).words.length, naps: 0 },
  ...(value === 'napping' ? { event: { type: 'migrated' } } : {}),
})
const tree = {
  id: 'top',
  intensity: 3,
  periodMs: 60_000,
  children: ['a', 'b', 'c'].map((id) => ({ id, src: 'writer', restart: 'permanent' as const, from: 'checkpoint' as const })),
}
const never = { perform: () => new Promise<number>(() => {}) }

/** A run of three writers that has been killed: `a` drafts, `b` is reviewed or what is said, `c` naps. */
export async function killed(
  middle: 'review' | 'ask' = 'review',
  machine: AnyStateMachine = first,
): Promise<{ folder: string; run: string; clock: VirtualClock }> {
  const folder = temporaryFolder()
  const clock = new VirtualClock()
  const life = openLife(folder, { machines: { writer: machine }, effects: { 'review.do': never }, clock })
  const session = await life.troupe.start(tree)
  await session.send('/top/a', { type: 'write', text: 'one' })
  await session.send('/top/b', { type: middle })
  await session.send('/top/c', { type: 'nap' })
  await clock.settled()
  await life.kill(session)
  return { folder, run: session.id, clock }
}

/** The same folder in another process, with other machines. */
export function next(
  folder: string,
  writer: AnyStateMachine | null,
  migration?: MigrationSpec,
  clock = new VirtualClock(),
  onCommit?: (types: string[]) => void,
): Life {
  return openLife(folder, {
    machines: writer === null ? {} : { writer },
    effects: { 'review.do': never },
    clock,
    ...(migration === undefined ? {} : { migrations: { writer: migration } }),
    ...(onCommit === undefined ? {} : { onCommit: (commit) => onCommit(commit.journal.map(({ type }) => type)) }),
  })
}

/** That a resume is refused with this, and has changed nothing: the run stands where it stood, and goes on with the code that it was started with. */
export async function refuses(run: { folder: string; run: string }, life: Life): Promise<UserError> {
  const before = { row: life.store.run(run.run), journal: factsOf(life.store, run.run) }
  const error: unknown = await life.troupe.resume(run.run).then(
    () => 'it was resumed',
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(UserError)
  expect(factsOf(life.store, run.run)).toEqual(before.journal)
  expect({ ...life.store.run(run.run), epoch: 0, owner: null }).toEqual({ ...before.row, epoch: 0, owner: null })
  await life.kill()
  const again = next(run.folder, first)
  const session = await again.troupe.resume(run.run)
  expect([session.recovery?.machines, session.snapshot('/top/b')?.value]).toEqual([[], 'review'])
  return error as UserError
}

/** What a run says of its machines. */
export const told = (life: Life, run: string): unknown[] =>
  factsOf(life.store, run, 'machine.changed', 'actor.migrated').map(({ type, path, data }) => ({ type, path, data }))
