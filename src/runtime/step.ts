/**
 * A step: one envelope through one macrostep. Pure: it reads its input and returns a result, and nothing has happened until an engine commits that.
 *
 *   StepInput -> decode -> macrostep under a collecting scope -> operations in source order -> StepResult
 *
 * What user code throws becomes `exit: {kind: 'error'}` with the snapshot unchanged and everything else empty: the step did not happen, the cell has crashed.
 */
import type { AnyStateMachine } from 'xstate'
import { Defect, type ErrorData, errorData } from '../errors.ts'
import type { Json } from '../json.ts'
import { type ExitReason, isRefusedFromOutside, isSupervisor } from '../protocol.ts'
import { type Births, births, missingActor, type StepCode } from './births.ts'
import type { ChildLink, EventData, StepInput, StepResult } from './cell.ts'
import { culpritOf } from './culprit.ts'
import { firstMacrostep, isMachine, type LiveSnapshot, macrostep, type Operation, Scope } from './host.ts'
import { reduce } from './logic/reducer.ts'
import { collect } from './operations.ts'
import { checkedExit, fitting } from './outgoing.ts'
import { idOf, isRef, parseWithRefs, Ref } from './ref.ts'
import { decode, encode, refOf, withRefs } from './snapshot.ts'

/** @param code  what the registry knows of the machine. Called inside the step: a machine that is not registered is the crash of its actor alone. */
export function step(code: () => StepCode, input: StepInput): StepResult {
  let known: StepCode | undefined
  try {
    known = code()
    return take(known, withEnded(input), endedBy(input))
  } catch (thrown) {
    return crashed(input, thrown, known)
  }
}

function take(code: StepCode, input: StepInput, ended: ChildLink | undefined): StepResult {
  const self = new Ref(input.address, input.incarnation, idOf(input.address))
  if (input.parent !== null) self._parent = new Ref(input.parent.address, input.parent.incarnation, idOf(input.parent.address))
  const scope = new Scope({ self, systemIds: input.systemIds, nextId: input.nextId })
  if (ended !== undefined) scope.free(ended)
  if (isForged(input)) return quiet(input, scope)
  if (!isMachine(code.machine)) return { ...quiet(input, scope), ...reduce(code.machine, input, scope) }
  return takeByMachine(code, code.machine, input, scope)
}

function takeByMachine(code: StepCode, machine: AnyStateMachine, input: StepInput, scope: Scope): StepResult {
  const before = input.snapshot === null ? null : decode(machine, input.snapshot, input.children)
  const event = parseWithRefs(JSON.stringify(input.envelope.event)) as EventData
  const after =
    before === null ? firstMacrostep(machine, event['input'], scope) : macrostep(machine, before, wireEvent(input, event), scope)
  if (after.status === 'error') throw after.error
  if (after === before && scope.operations.length === 0) return quiet(input, scope)
  const born = births(code, input, scope)
  if (born.refs.size > 0) after.context = withRefs(after.context, born.refs)
  const { ids, ...stops } = stopped(input, scope.operations, born)
  const children = childrenAfter(input, after, born, { ids })
  const result: StepResult = {
    ...collect(code, input, scope, born),
    snapshot: after === before ? 'unchanged' : encode(after, before),
    children,
    exit: exitOf(input, after),
    consumed: input.envelope.seq,
    handled: scope.handled,
    ...stops,
    ...born.started,
    systemIdsSet: scope.systemIdsSet.flatMap(({ systemId, raw }) => {
      const ref = born.refs.get(raw)
      return ref === undefined ? [] : [{ systemId, ref: { address: ref.address, incarnation: ref.incarnation } }]
    }),
    systemIdsFreed: scope.systemIdsFreed,
    nextId: scope.nextId,
  }
  return before === null ? childrenFirst(result) : result
}

/** An actor that starts has XState start its children before anything else that its first step does. */
function childrenFirst(result: StepResult): StepResult {
  const count = result.cellsStarted.length
  if (count === 0) return result
  const later = <T extends { readonly op: number }>(operations: readonly T[]): readonly T[] =>
    operations.map((operation) => ({ ...operation, op: operation.op + count }))
  return {
    ...result,
    cellsStarted: result.cellsStarted.map((start, op) => ({ ...start, op })),
    sends: later(result.sends),
    cellsStopped: later(result.cellsStopped),
    actions: later(result.actions),
  }
}

/** XState's own name for a stop; everything else goes in as it was sent. */
function wireEvent(input: StepInput, event: EventData): EventData {
  return input.envelope.kind === 'stop' ? { type: 'xstate.stop' } : event
}

const EMPTY = {
  sends: [],
  timersSet: [],
  timersCleared: [],
  effectsOwed: [],
  effectsCancelled: [],
  actions: [],
  emits: [],
  logs: [],
  cellsStarted: [],
  cellsStopped: [],
  systemIdsSet: [],
  systemIdsFreed: [],
  threadAppends: [],
  journal: [],
} as const

function quiet(input: StepInput, scope: Scope): StepResult {
  return {
    ...EMPTY,
    snapshot: 'unchanged',
    children: input.children,
    exit: null,
    consumed: input.envelope.seq,
    handled: scope.handled,
    systemIdsFreed: scope.systemIdsFreed,
    nextId: scope.nextId,
  }
}

/** The child whose end the envelope reports. An event of that type that was only sent says nothing about a child. */
function endedBy({ envelope, children }: StepInput): ChildLink | undefined {
  const { child } = envelope
  if (child === undefined || !/^xstate\.(?:done|error)\.actor\./.test(envelope.event.type)) return undefined
  return children.find((link) => link.id === child.id && link.incarnation === child.incarnation && link.ended !== true)
}

/** With that child marked: its id can be taken again in this very step, and nobody has to stop it any more. */
function withEnded(input: StepInput): StepInput {
  const ended = endedBy(input)
  if (ended === undefined) return input
  return { ...input, children: input.children.map((link) => (link === ended ? { ...link, ended: true as const } : link)) }
}

/** A supervisor hears of its children from the engine. What else says so is mail, and moves nothing. */
function isForged({ machine, envelope }: StepInput): boolean {
  return isSupervisor(machine) && envelope.kind === 'mail' && isRefusedFromOutside(envelope.event.type)
}

function crashed(input: StepInput, thrown: unknown, code: StepCode | undefined): StepResult {
  const error: ErrorData = errorData(safely(() => named(thrown)) ?? thrown, {
    path: input.address,
    state: input.snapshot === null ? '(starting)' : stateName(input.snapshot.value),
    event: input.envelope.event.type,
    machine: input.machine,
    part: safely(() =>
      code !== undefined && isMachine(code.machine) ? culpritOf(thrown, Object.keys(code.machine.implementations.delays)) : undefined,
    ),
  })
  return {
    ...EMPTY,
    snapshot: 'unchanged',
    children: input.children,
    exit: { kind: 'error', error },
    consumed: input.envelope.seq,
    handled: false,
    nextId: input.nextId,
  }
}

/** What is thrown may defend itself against being looked at: a getter, a proxy. */
function safely<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}

const FROZEN = /Cannot (?:assign to read only|add|delete|define|redefine) property/

/** Contexts are frozen; what the language says of a change in place does not say what to do. */
function named(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || !FROZEN.test(thrown.message)) return thrown
  return new Defect('E_CONTEXT_MUTATED', `frozen data was changed in place: ${thrown.message}`, {
    hint: 'contexts are frozen: give new data to assign, as ({ list: [...context.list, item] })',
  })
}

/** Why the cell ended in this step, or null. */
function exitOf(input: StepInput, after: LiveSnapshot): ExitReason | null {
  if (after.status === 'active') return null
  if (after.status === 'stopped') return { kind: 'shutdown', detail: 'ordered' }
  if (after.output === undefined) return { kind: 'normal' }
  const text = JSON.stringify(after.output)
  // A supervisor passes on what a child has given, with a few words around it.
  const output: Json = JSON.parse(isSupervisor(input.machine) ? text : fitting(text, 'output'))
  return checkedExit(input, output) ?? { kind: 'normal', output }
}

/** Children that were stopped: cells by an envelope after the sends before it, effects by cancelling. What was born and stopped in one step never was. */
function stopped(
  input: StepInput,
  operations: readonly Operation[],
  born: Births,
): Pick<StepResult, 'cellsStopped' | 'effectsCancelled'> & { ids: Set<ChildLink> } {
  const ids = new Set<ChildLink>()
  const cellsStopped: { op: number; link: ChildLink }[] = []
  const effectsCancelled: { op: number; id: string; incarnation: number }[] = []
  for (const operation of operations) {
    if (operation.kind !== 'action' || operation.type !== 'xstate.stopChild' || !isRef(operation.params)) continue
    const ref = operation.params
    const link = input.children.find(
      (child) => child.id === ref.id && child.incarnation === ref.incarnation && child.address === ref.address,
    )
    if (link === undefined) {
      if (born.ofRef(ref) !== undefined || ref.address === `${input.address}/${encodeURIComponent(ref.id)}`) continue // It is stopped already.
      throw new Defect('E_NOT_A_CHILD', `${input.address} stopped ${ref.address}, which is not its child`, {
        hint: 'stopChild takes an own child',
      })
    }
    if (ids.has(link)) continue
    ids.add(link)
    if (link.ended === true) continue
    if (link.kind === 'cell') cellsStopped.push({ op: operation.op, link })
    else effectsCancelled.push({ op: operation.op, id: link.id, incarnation: link.incarnation })
  }
  return { cellsStopped, effectsCancelled, ids }
}

/** XState's `children` after the step, as links; the live snapshot gets references instead of actors. */
function childrenAfter(input: StepInput, after: LiveSnapshot, born: Births, stops: { ids: Set<ChildLink> }): readonly ChildLink[] {
  if (born.links.length === 0 && stops.ids.size === 0) return input.children
  const known = new Map(input.children.map((link) => [link.id, link]))
  const links: ChildLink[] = []
  const live: Record<string, unknown> = {}
  for (const key in after.children) {
    const child = after.children[key]
    if (child === undefined) throw missingActor(input, { id: key })
    const link = isRef(child) ? known.get(key) : born.ofRaw(child)
    if (link === undefined || stops.ids.has(link) || (isRef(child) && link.incarnation !== child.incarnation)) continue
    if (link.id !== key)
      throw new Defect('E_CHILD_WITHOUT_ID', `${input.address} used spawnChild('${link.src}') without an id`, {
        hint: 'give spawnChild an id',
      })
    links.push(link)
    live[key] = isRef(child) ? child : refOf(link)
  }
  after.children = live
  return links
}

/** `editing.patch`, `a.b & c.d`: a state value in one line. */
export function stateName(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null) return ''
  return Object.entries(value)
    .map(([key, inner]) =>
      typeof inner === 'object' && inner !== null && Object.keys(inner).length === 0 ? key : `${key}.${stateName(inner)}`,
    )
    .join(' & ')
}
