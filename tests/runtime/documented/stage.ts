/**
 * A machine of XState's documentation and a script, played three times: by `createActor` under its simulated clock, by Troupe, and by Troupe with its
 * process killed between beats. After each beat all actors stand in the same states with the same contexts, and have emitted the same.
 *
 *   script: [{ type: 'GO' }, 1_000, { settle: 'user', value: {...} }]      an event, milliseconds that pass, a promise that is settled
 *
 * What the machines touch of the world comes from a `World`, one per life: timers on the clock of that life, promises that the script settles.
 */
import { setImmediate as nextRound } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type AnyActor, type AnyStateMachine, createActor, SimulatedClock } from 'xstate'
import type { Json } from '../../../src/json.ts'
import type { CellView, RunSession } from '../../../src/runtime/engine.ts'
import { factsOf, type Life, only, openLife, temporaryFolder, VirtualClock } from '../../harness.ts'

type Settle = { readonly settle: string; readonly value?: Json; readonly fails?: Json }
type Beat = { readonly type: string; readonly [key: string]: Json } | number | Settle

export interface World {
  /** Calls back every so many milliseconds. Returns the cleanup. */
  every(ms: number, callback: () => void): () => void
  /** A promise that a beat `{ settle: name }` settles. */
  pending(name: string): Promise<Json>
}

export interface Scene {
  readonly title: string
  build(world: World): unknown
  readonly input?: Json
  readonly script: readonly Beat[]
  /** State values of the root after each beat, as the documentation has them; the last is `done` where the machine ends. */
  readonly states: readonly Json[]
}

class Stage implements World {
  readonly #timeout: (callback: () => void, ms: number) => () => void
  readonly #pending = new Map<string, PromiseWithResolvers<Json>[]>()

  constructor(timeout: (callback: () => void, ms: number) => () => void) {
    this.#timeout = timeout
  }
  every(ms: number, callback: () => void): () => void {
    let cancel = (): void => {}
    const again = (): void => {
      cancel = this.#timeout(() => {
        again()
        callback()
      }, ms)
    }
    again()
    return () => cancel()
  }
  pending(name: string): Promise<Json> {
    const promise = Promise.withResolvers<Json>()
    this.#pending.set(name, [...(this.#pending.get(name) ?? []), promise])
    return promise.promise
  }
  settle({ settle, value = null, fails }: Settle): void {
    const waiting = this.#pending.get(settle) ?? []
    if (waiting.length === 0) throw new Error(`nobody waits for '${settle}'`)
    this.#pending.delete(settle)
    for (const { resolve, reject } of waiting) fails === undefined ? resolve(value) : reject(new Error(String(fails)))
  }
}

/** One actor of the tree, as both sides show it. */
interface Shown {
  readonly status: string
  readonly value: unknown
  readonly context: unknown
}
interface Picture {
  readonly actors: Readonly<Record<string, Shown>>
  /** Promises, callbacks and observables that are open. */
  readonly open: number
  readonly emitted: readonly Json[]
  readonly output: unknown
}

const ROOT = '/top/one'
const plain = (value: unknown): Json => (value === undefined ? null : JSON.parse(JSON.stringify(value)))

function addressOf(actor: AnyActor): string {
  return actor._parent === undefined ? ROOT : `${addressOf(actor._parent as AnyActor)}/${actor.id}`
}
const isActor = (value: unknown): value is AnyActor =>
  typeof value === 'object' && value !== null && 'sessionId' in value && 'getSnapshot' in value

function withAddresses(value: unknown): unknown {
  if (isActor(value)) return { actor: addressOf(value) }
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(withAddresses)
  if ('@troupe.ref' in value) return { actor: value['@troupe.ref'] }
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withAddresses(member)]))
}
/** Errors are data in Troupe; what a person reads is the same. */
const shown = (status: string, value: unknown, context: unknown): Shown => ({
  status,
  value: value ?? null,
  context: plain(withAddresses(context)),
})

/** The documentation's own way to run a machine. */
async function play({ build, script, input }: Scene): Promise<Picture[]> {
  const clock = new SimulatedClock()
  const stage = new Stage((callback, ms) => {
    const id = clock.setTimeout(callback, ms)
    return () => clock.clearTimeout(id)
  })
  const emitted: Json[] = []
  const options = { clock, ...(input === undefined ? {} : { input }), logger: () => {} }
  const actor = createActor(build(stage) as AnyStateMachine, options as never)
  actor.on('*', (event) => void emitted.push(plain(event)))
  actor.start()
  const pictures: Picture[] = []
  for (const beat of [0, ...script]) {
    // By the millisecond: a timer that is set by another one counts from when that fired, not from the end of the increment.
    if (typeof beat === 'number') for (let ms = 0; ms < beat; ms++) clock.increment(1)
    else if ('settle' in beat) stage.settle(beat as Settle)
    else actor.send(beat)
    for (let round = 0; round < 4; round++) await nextRound()
    pictures.push(pictureOf(actor, emitted))
  }
  actor.stop()
  return pictures
}

function pictureOf(root: AnyActor, emitted: readonly Json[]): Picture {
  const actors: Record<string, Shown> = {}
  let open = 0
  const look = (actor: AnyActor): void => {
    const { status, value, context, children } = actor.getSnapshot()
    if (status !== 'active') return
    if (children === undefined && 'start' in actor.logic) {
      open++
      return
    }
    actors[addressOf(actor)] = shown(status, value, context)
    for (const child of Object.values(children ?? {})) if (child !== undefined) look(child as AnyActor)
  }
  look(root)
  return { actors, open, emitted: [...emitted], output: plain(root.getSnapshot().output) }
}

type Kills = 'never' | 'always' | 'even' | 'odd'

const isDeadly = (kills: Kills, nth: number): boolean => kills === 'always' || kills === (nth % 2 === 0 ? 'even' : 'odd')

/** The same under Troupe. @param kills  after which beats its process dies and another one resumes. */
async function playDurably(scene: Scene, kills: Kills): Promise<Picture[]> {
  const clock = new VirtualClock()
  const folder = temporaryFolder()
  const open = (): { life: Life; stage: Stage } => {
    const stage = new Stage((callback, ms) => clock.setTimer(ms, callback))
    return { stage, life: openLife(folder, { machines: { scene: scene.build(stage) as AnyStateMachine }, clock }) }
  }
  let { life, stage } = open()
  let session = await life.troupe.start(only('scene', scene.input === undefined ? {} : { input: scene.input }), { id: 'r' })
  const pictures: Picture[] = []
  for (const [nth, beat] of [0, ...scene.script].entries()) {
    if (typeof beat === 'number') await clock.advance(beat)
    else if ('settle' in beat) stage.settle(beat as Settle)
    else await session.send(ROOT, beat)
    await clock.settled()
    pictures.push(await durablePicture(life, session))
    if (!isDeadly(kills, nth) || pictures.at(-1)!.output !== null || nth === scene.script.length) continue
    await life.kill(session)
    ;({ life, stage } = open())
    session = await life.troupe.resume('r')
    await clock.settled()
    expect(await durablePicture(life, session)).toEqual(pictures.at(-1))
  }
  const stopping = session.stop()
  await clock.advance(10_000) // Promises that nobody settles are given their grace.
  await stopping
  return pictures
}

async function durablePicture({ store }: Life, session: RunSession): Promise<Picture> {
  const actors: Record<string, Shown> = {}
  let open = 0
  const look = (cell: CellView): void => {
    const snapshot = session.snapshot(cell.address)
    if (cell.status !== 'active' || snapshot === null) return
    actors[cell.address] = shown(snapshot.status, snapshot.value, snapshot.context)
    open += cell.effects.filter(({ kind }) => kind !== 'action').length
    cell.children.forEach(look)
  }
  for (const child of session.tree().children) if (child.address === ROOT) look(child)
  const isOver = store.run('r')?.status !== 'running'
  return {
    actors,
    open,
    emitted: factsOf(store, 'r', 'event.emitted').flatMap(({ path, data }) =>
      path === ROOT && data['actor'] === undefined ? [data['event']!] : [],
    ),
    output: isOver ? (await session.done()).output : null,
  }
}

/** Plays a scene all ways: one test without a death, one with a death after every beat, and after every second one. */
export function perform(scene: Scene): void {
  test(`${scene.title}: the same states under createActor and under Troupe`, async () => {
    const oracle = await play(scene)
    expect(oracle.map(({ actors, output }) => actors[ROOT]?.value ?? (output === null ? 'done' : { output: output as Json }))).toEqual(
      scene.states,
    )
    expect(await playDurably(scene, 'never')).toEqual(oracle)
  })

  test(`${scene.title}: the same states wherever the process dies`, async () => {
    const oracle = await play(scene)
    for (const kills of ['always', 'even', 'odd'] as const)
      expect({ kills, pictures: await playDurably(scene, kills) }).toEqual({ kills, pictures: oracle })
  })
}
