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
import type { Json } from '../json.ts'
import { nodesOf, type StateNode } from './host.ts'
import type { MachineRow } from './store.ts'

/** Plain data, stored with the run. */
export interface Definition {
  /** By path from the root, `` for the root itself: `review.open`. */
  readonly states: Readonly<Record<string, StateDefinition>>
  /** Names in `setup({ actors })`. */
  readonly actors: readonly string[]
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

export function definitionOf(machine: AnyStateMachine): Definition {
  const states: Record<string, StateDefinition> = {}
  for (const node of nodesOf(machine)) states[pathOf(node.path)] = stateOf(node)
  return { states, actors: Object.keys(machine.implementations.actors).sort() }
}

/** A path as text. A dot in a key is written `\.`. */
export const pathOf = (keys: readonly string[]): string => keys.map((key) => key.replaceAll('.', '\\.')).join('.')

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
  const [was, is] = [before.definition as unknown as Definition, after.definition as unknown as Definition]
  const gone = Object.keys(was.states).filter((path) => is.states[path] === undefined)
  const all = [...states(was, is), ...actors(was, is)]
  const differences = [...all.filter(({ breaks }) => breaks), ...all.filter(({ breaks }) => !breaks)].map(({ what }) => what)
  const isRaised = before.version !== after.version
  const breaks = all.some((difference) => difference.breaks)
  const verdict = breaks ? (isRaised ? 'migrate' : 'refuse') : all.length > 0 || isRaised ? 'compatible' : 'identical'
  return { verdict, differences, gone }
}

const named = (path: string): string => (path === '' ? 'the machine' : `\`${path}\``)
const parentOf = (path: string): string => path.replace(/(?:^|(?<!\\)\.)(?:\\.|[^.\\])*$/, '')

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

function actors(was: Definition, is: Definition): Iterable<Difference> {
  return list(
    was.actors,
    is.actors,
    (src) => `the actor '${src}' is gone`,
    (src) => `the actor '${src}' is new`,
  )
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
