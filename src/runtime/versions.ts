/**
 * What of a machine a stored snapshot rests on, and whether it can go on in another version of the machine.
 *
 *   identical    nothing that is stored could tell the difference
 *   compatible   only additions: every stored actor goes on as it stands
 *   migrate      the version was raised and something is gone or means something else: a migration takes the actors over
 *   refuse       the same, under the same version: an accident, or a change whose version was forgotten
 *
 * Guards, actions and the shape of contexts are code, and not looked at: whoever changes what a context holds raises the version.
 */
import type { AnyStateMachine } from 'xstate'
import { effectOf } from '../effect.ts'
import type { Json } from '../json.ts'
import { isMachine, nodesOf, type StateNode } from './host.ts'
import { kindOf, type PlainLogic } from './logic/kinds.ts'
import type { MachineRow } from './store.ts'

/** Plain data, stored with the run. */
export interface Definition {
  /** `transition` for the reducer of `fromTransition`, which has no states; left out for a machine. */
  readonly kind?: 'transition'
  /** By path from the root, `` for the root itself: `review.open`. */
  readonly states: Readonly<Record<string, StateDefinition>>
  /**
   * What stands under each name in `setup({ actors })`: `machine`, `transition`, `promise`, `callback`, `observable` or `effect:<kind>`.
   * A list of the names alone is the form of before kinds were written down: then no kind is known.
   */
  readonly actors: Readonly<Record<string, string>> | readonly string[]
}

interface StateDefinition {
  /** XState's id of it: timers and history are stored under it. */
  readonly id: string
  readonly type: string
  readonly initial?: string
  readonly history?: string
  /** Delays of `after`, as they are written: `5000`, `timeout`. */
  readonly after?: readonly string[]
  readonly invoke?: readonly { readonly id: string; readonly src: string }[]
  /** Events that it has a transition for. */
  readonly on?: readonly string[]
}

export function definitionOf(machine: AnyStateMachine | PlainLogic): Definition {
  if (!isMachine(machine)) return { kind: 'transition', states: {}, actors: {} }
  const states: Record<string, StateDefinition> = {}
  for (const node of nodesOf(machine)) states[pathOf(node.path)] = stateOf(node)
  const known = Object.entries<unknown>(machine.implementations.actors).sort(([a], [b]) => (a < b ? -1 : 1))
  return { states, actors: Object.fromEntries(known.map(([src, logic]) => [src, kindOfActor(logic)])) }
}

function kindOfActor(logic: unknown): string {
  const effect = effectOf(logic)
  if (effect !== undefined) return `effect:${effect.kind}`
  return isMachine(logic) ? 'machine' : (kindOf(logic) ?? 'unknown')
}

/** A path as text, another one for each path: a dot in a key is written `\.`, a backslash `\\`. */
export const pathOf = (keys: readonly string[]): string => keys.map((key) => key.replace(/[\\.]/g, '\\$&')).join('.')

function stateOf({ id, type, history, config, invoke }: StateNode): StateDefinition {
  const { initial } = config
  const [after, on] = [Object.keys(config.after ?? {}).sort(), Object.keys(config.on ?? {}).sort()]
  return {
    id,
    type,
    ...(typeof initial === 'string' ? { initial } : {}),
    ...(history === false ? {} : { history }),
    ...(after.length === 0 ? {} : { after }),
    ...(invoke.length === 0 ? {} : { invoke: invoke.map((one) => ({ id: one.id, src: one.src })) }),
    ...(on.length === 0 ? {} : { on }),
  }
}

/** The paths of the states that a state value stands in, outermost first. */
export function standsIn(value: Json): readonly string[] {
  const paths: string[] = []
  const walk = (inner: Json, above: readonly string[]): void => {
    if (typeof inner === 'string') paths.push(pathOf([...above, inner]))
    else if (typeof inner === 'object' && inner !== null && !Array.isArray(inner)) {
      for (const [key, below] of Object.entries(inner)) {
        paths.push(pathOf([...above, key]))
        walk((below ?? null) as Json, [...above, key])
      }
    }
  }
  walk(value, [])
  return paths
}

type Verdict = 'identical' | 'compatible' | 'migrate' | 'refuse'

export interface Comparison {
  readonly verdict: Verdict
  /** In words, those first that stand in the way. */
  readonly differences: readonly string[]
  /** Paths of the states that are gone. */
  readonly gone: readonly string[]
}

interface Difference {
  readonly what: string
  /** Can something stored not go on as it stands? */
  readonly breaks: boolean
}

/** Pure, and total: the same two machines always get the same verdict, wherever the actors of a run stand. */
export function compare(before: Omit<MachineRow, 'name'>, after: Omit<MachineRow, 'name'>): Comparison {
  const was = before.definition as unknown as Definition
  const is = readAs(was, after.definition as unknown as Definition)
  const gone = Object.keys(was.states).filter((path) => is.states[path] === undefined)
  const all = [...differ(was, is)]
  const differences = [...all.filter(({ breaks }) => breaks), ...all.filter(({ breaks }) => !breaks)].map(({ what }) => what)
  const isRaised = before.version !== after.version
  const breaks = all.some((difference) => difference.breaks)
  const verdict = breaks ? (isRaised ? 'migrate' : 'refuse') : all.length > 0 || isRaised ? 'compatible' : 'identical'
  return { verdict, differences, gone }
}

/** Definitions of before kinds were written down have backslashes in paths as they stand: paths are compared as those were written. */
function readAs(was: Definition, is: Definition): Definition {
  if (!Array.isArray(was.actors)) return is
  const states = Object.entries(is.states).map(([path, state]) => [
    path.replace(/\\([\\.])/g, (two, one) => (one === '.' ? two : one)),
    state,
  ])
  return { ...is, states: Object.fromEntries(states) }
}

function* differ(was: Definition, is: Definition): Generator<Difference> {
  // Of another kind nothing else can be compared: a reducer has no states that could be gone.
  if (isReducer(was) !== isReducer(is)) yield { what: `it was a ${sortOf(was)} and is a ${sortOf(is)}`, breaks: true }
  else {
    yield* states(was, is)
    yield* actors(was, is)
  }
}

/** A machine has its root at least: that tells a reducer of before kinds were written down, too. */
const isReducer = ({ kind, states }: Definition): boolean => kind === 'transition' || Object.keys(states).length === 0
const sortOf = (definition: Definition): string => (isReducer(definition) ? 'reducer (fromTransition)' : 'machine')

const named = (path: string): string => (path === '' ? 'the machine' : `\`${path}\``)
const parentOf = (path: string): string => path.replace(/(?:^|\.)(?:\\.|[^.\\])*\\?$/, '')

function* states(was: Definition, is: Definition): Generator<Difference> {
  for (const [path, state] of Object.entries(was.states)) {
    const now = is.states[path]
    if (now !== undefined) yield* state_(path, state, now)
    // What is below it is gone with it.
    else if (is.states[parentOf(path)] !== undefined) yield { what: `state ${named(path)} is gone`, breaks: true }
  }
  for (const [path, state] of Object.entries(is.states)) {
    const above = parentOf(path)
    if (was.states[path] !== undefined || was.states[above] === undefined) continue
    // A region starts when its parent is entered: who stands there already would get one that has not been entered.
    const isRegion = is.states[above]?.type === 'parallel' && state.type !== 'history'
    yield { what: `${isRegion ? 'region' : 'state'} ${named(path)} is new`, breaks: isRegion }
  }
}

function* state_(path: string, was: StateDefinition, is: StateDefinition): Generator<Difference> {
  const name = named(path)
  if (was.type !== is.type) yield { what: `${name} was ${was.type} and is ${is.type}`, breaks: true }
  if (was.id !== is.id)
    yield { what: `the id of ${name} was '${was.id}' and is '${is.id}': timers and history are stored under it`, breaks: true }
  if (was.initial !== is.initial) yield { what: `${name} begins in \`${is.initial}\`, not in \`${was.initial}\``, breaks: false }
  if (was.history !== is.history) yield { what: `${name} was ${was.history} and is ${is.history}`, breaks: false }
  yield* list(
    was.after,
    is.after,
    (delay) => `${name} has no after(${delay}) any more`,
    (delay) => `${name} has a new after(${delay})`,
  )
  const invoked = (one: string): string => {
    const [id = '', src = ''] = JSON.parse(one)
    return id.endsWith(`.${was.id}`) ? `'${src}'` : `'${src}' as '${id}'`
  }
  yield* list(
    invokesOf(was),
    invokesOf(is),
    (one) => `${name} does not invoke ${invoked(one)} any more`,
    (one) => `${name} invokes ${invoked(one)}`,
  )
  yield* list(
    was.on,
    is.on,
    (event) => `${name} does not take ${event} any more`,
    (event) => `${name} takes ${event}`,
    false,
  )
}

const invokesOf = ({ invoke = [] }: StateDefinition): readonly string[] => invoke.map(({ id, src }) => JSON.stringify([id, src]))

function* actors(was: Definition, is: Definition): Generator<Difference> {
  const [old, now] = [kindsOf(was), kindsOf(is)]
  yield* list(
    [...old.keys()],
    [...now.keys()],
    (src) => `the actor '${src}' is gone`,
    (src) => `the actor '${src}' is new`,
  )
  for (const [src, before] of old) {
    const after = now.get(src)
    if (before !== null && after !== undefined && before !== after)
      yield { what: `the actor '${src}' was ${before} and is ${after}`, breaks: true }
  }
}

/** By src; null where the kind is not known. */
function kindsOf({ actors }: Definition): ReadonlyMap<string, string | null> {
  return new Map(Array.isArray(actors) ? actors.map((src: string) => [src, null]) : Object.entries(actors))
}

function* list(
  was: readonly string[] = [],
  is: readonly string[] = [],
  gone: (what: string) => string,
  added: (what: string) => string,
  breaks = true,
): Generator<Difference> {
  for (const what of was) if (!is.includes(what)) yield { what: gone(what), breaks }
  for (const what of is) if (!was.includes(what)) yield { what: added(what), breaks: false }
}
