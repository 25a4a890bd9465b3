/**
 * A step: one envelope through one macrostep. Pure: it reads its input and returns a result, and nothing has happened until an engine commits that.
 *
 *   StepInput -> decode -> macrostep under a collecting scope -> operations in source order -> StepResult
 *
 * What user code throws becomes `exit: {kind: 'error'}` with the snapshot unchanged and everything else empty: the step did not happen, the cell has crashed.
 */
import { Defect, type ErrorData, errorData } from '../errors.ts'
import type { Json } from '../json.ts'
import { EXIT_KEY, type ExitReason } from '../protocol.ts'
import { type Births, births, missingActor, type StepCode } from './births.ts'
import type { ChildLink, EventData, StepInput, StepResult } from './cell.ts'
import { firstMacrostep, type LiveSnapshot, macrostep, type Operation, Scope } from './host.ts'
import { collect } from './operations.ts'
import { idOf, isRef, parseWithRefs, Ref } from './ref.ts'
import { decode, encode, refOf, withRefs } from './snapshot.ts'

/** @param code  what the registry knows of the machine. Called inside the step: a machine that is not registered is the crash of its actor alone. */
export function step(code: () => StepCode, input: StepInput): StepResult {
  try {
    return take(code(), input)
  } catch (thrown) {
    return crashed(input, thrown)
  }
}

function take(code: StepCode, input: StepInput): StepResult {
  const self = new Ref(input.address, input.incarnation, idOf(input.address))
  if (input.parent !== null) self._parent = new Ref(input.parent.address, input.parent.incarnation, idOf(input.parent.address))
  const scope = new Scope({ self, systemIds: input.systemIds, nextId: input.nextId })
  const before = input.snapshot === null ? null : decode(code.machine, input.snapshot, input.children)
  const event = parseWithRefs(JSON.stringify(input.envelope.event)) as EventData
  const after =
    before === null ? firstMacrostep(code.machine, event['input'], scope) : macrostep(code.machine, before, wireEvent(input, event), scope)
  if (after.status === 'error') throw after.error
  if (after === before && scope.operations.length === 0) return quiet(input, scope)
  const born = births(code, input, scope)
  if (born.refs.size > 0) after.context = withRefs(after.context, born.refs)
  const { ids, ...stops } = stopped(input, scope.operations, born)
  const children = childrenAfter(input, after, born, { ids })
  return {
    ...collect(code, input, scope, born),
    snapshot: after === before ? 'unchanged' : encode(after),
    children,
    exit: exitOf(after),
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
    nextId: scope.nextId,
  }
}

function crashed(input: StepInput, thrown: unknown): StepResult {
  const error: ErrorData = errorData(thrown, {
    path: input.address,
    state: input.snapshot === null ? '(starting)' : stateName(input.snapshot.value),
    event: input.envelope.event.type,
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

/** Why the cell ended in this step, or null. */
function exitOf(after: LiveSnapshot): ExitReason | null {
  if (after.status === 'active') return null
  if (after.status === 'stopped') return { kind: 'shutdown', detail: 'ordered' }
  const output = after.output as Json | undefined
  if (typeof output === 'object' && output !== null && EXIT_KEY in output)
    return (output as Record<string, unknown>)[EXIT_KEY] as ExitReason
  return output === undefined ? { kind: 'normal' } : { kind: 'normal', output: JSON.parse(JSON.stringify(output)) }
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
      if (born.ofRef(ref) !== undefined) continue
      throw new Defect('E_NOT_A_CHILD', `${input.address} stopped ${ref.address}, which is not its child`, {
        hint: 'stopChild takes an own child',
      })
    }
    if (ids.has(link)) continue
    ids.add(link)
    if (link.kind === 'cell') cellsStopped.push({ op: operation.op, link })
    else effectsCancelled.push({ op: operation.op, id: link.id, incarnation: link.incarnation })
  }
  return { cellsStopped, effectsCancelled, ids }
}

/** XState's `children` after the step, as links; the live snapshot gets references instead of actors. */
function childrenAfter(input: StepInput, after: LiveSnapshot, born: Births, stops: { ids: Set<ChildLink> }): readonly ChildLink[] {
  if (born.links.length === 0 && stops.ids.size === 0) return input.children
  const links: ChildLink[] = []
  const live: Record<string, unknown> = {}
  for (const key in after.children) {
    const child = after.children[key]
    if (child === undefined) throw missingActor(input, { id: key })
    const link = isRef(child)
      ? input.children.find((known) => known.id === key && known.incarnation === child.incarnation)
      : born.ofRaw(child)
    if (link === undefined || stops.ids.has(link)) continue
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
function stateName(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null) return ''
  return Object.entries(value)
    .map(([key, inner]) =>
      typeof inner === 'object' && inner !== null && Object.keys(inner).length === 0 ? key : `${key}.${stateName(inner)}`,
    )
    .join(' & ')
}
