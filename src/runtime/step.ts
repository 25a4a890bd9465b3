/**
 * A step: one envelope through one macrostep. Pure: it reads its input and returns a result, and nothing has happened until an engine commits that.
 *
 *   StepInput -> decode -> macrostep under a collecting scope -> operations in source order -> StepResult
 *
 * What user code throws becomes `exit: {kind: 'error'}` with the snapshot unchanged and everything else empty: the step did not happen, the cell has crashed.
 */
import type { AnyStateMachine } from 'xstate'
import { type EffectDeclaration, NO_RETRY } from '../effect.ts'
import { Defect, type ErrorData, errorData } from '../errors.ts'
import { assertJson, type Json } from '../json.ts'
import { PAYLOAD_BYTES_MAX } from '../limits.ts'
import { type AskParams, EXIT_KEY, type ExitReason, RESERVED_ACTIONS, SUPERVISOR_MACHINE, type ThreadAppend } from '../protocol.ts'
import { type Births, births } from './births.ts'
import type { ActionTaken, ChildLink, EffectOwed, EventData, Send, StepInput, StepResult, TimerSet } from './cell.ts'
import { type Action, firstMacrostep, type LiveSnapshot, macrostep, type Operation, Scope } from './host.ts'
import { isRef, parseWithRefs, Ref } from './ref.ts'
import { decode, encode, refOf, withRefs } from './snapshot.ts'

/** What a step needs of the registry: the machine, and what stands behind a child's logic object. */
export interface StepCode {
  readonly machine: AnyStateMachine
  /** Name of a registered child machine, or its effect declaration. Undefined: not registered. */
  childOf(logic: unknown): { machine: string } | { effect: EffectDeclaration } | undefined
}

export function step(code: StepCode, input: StepInput): StepResult {
  try {
    return take(code, input)
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

function missingActor(input: StepInput, params: Record<string, unknown>): Defect {
  const name = String(params['src'] ?? params['id'])
  return new Defect('E_ACTOR_MISSING', `${input.address}: the actor '${name}' is not in setup({ actors })`, { hint: 'register its src' })
}

/** Everything that is not a birth or a stop, in source order. */
function collect(
  code: StepCode,
  input: StepInput,
  scope: Scope,
  born: Births,
): Omit<
  StepResult,
  | 'snapshot'
  | 'children'
  | 'exit'
  | 'consumed'
  | 'handled'
  | 'nextId'
  | 'cellsStarted'
  | 'cellsStopped'
  | 'effectsCancelled'
  | 'systemIdsSet'
  | 'systemIdsFreed'
> {
  const out = {
    sends: [] as Send[],
    timersSet: [] as TimerSet[],
    timersCleared: [] as { op: number; id: string }[],
    effectsOwed: [...born.effectsOwed] as EffectOwed[],
    actions: [] as ActionTaken[],
    emits: [] as EventData[],
    logs: [] as { label: string | null; value: Json }[],
    threadAppends: [] as { thread: string; items: readonly Json[] }[],
    journal: [] as { type: string; data: Json }[],
  }
  for (const operation of scope.operations) {
    if (operation.kind === 'create') continue
    const params = operation.params as Record<string, unknown>
    switch (operation.type) {
      case 'xstate.spawnChild':
        if (params['actorRef'] === undefined) throw missingActor(input, params)
        break
      case 'xstate.stopChild':
        break
      case 'xstate.sendTo':
        send(input, scope, born, operation, out)
        break
      case 'xstate.raise':
        if (typeof params['delay'] === 'number') out.timersSet.push(timer(input, scope, born, operation, scope.self))
        break
      case 'xstate.cancel':
        out.timersCleared.push({ op: operation.op, id: String(params['sendId']) })
        break
      case 'xstate.emit':
        out.emits.push(payload(params['event'], 'emitted event', born) as EventData)
        break
      case 'xstate.log':
        out.logs.push({ label: (params['label'] as string | undefined) ?? null, value: loggable(params['value']) })
        break
      default:
        act(code, input, born, operation, out)
    }
  }
  return out
}

function send(
  input: StepInput,
  scope: Scope,
  born: Births,
  action: Action,
  out: { sends: Send[]; timersSet: TimerSet[]; journal: { type: string; data: Json }[] },
): void {
  const params = action.params as { to: unknown; event: EventData; delay?: unknown }
  const to = isRef(params.to) ? params.to : born.refs.get(params.to)
  if (to === undefined) {
    if (born.dropped.has(params.to)) return // Its child was born and stopped in this very step.
    throw new Defect('E_SEND_TO_NOBODY', `${input.address} sent ${params.event.type} to nobody`, { hint: 'check the id that sendTo names' })
  }
  if (typeof params.delay === 'number') {
    out.timersSet.push(timer(input, scope, born, action, to))
    return
  }
  const event = params.event.type === 'xstate.error' ? errorEvent(input, params.event) : payload(params.event, 'event', born)
  out.sends.push({ op: action.op, to: to.address, incarnation: null, kind: 'mail', event: event as EventData })
}

function errorEvent(input: StepInput, event: EventData): Json {
  const id = idOf(input.address)
  return { type: `xstate.error.actor.${id}`, error: event['data'] ?? null, actorId: id }
}

function timer(input: StepInput, scope: Scope, born: Births, action: Action, to: Ref): TimerSet {
  const params = action.params as { event: EventData; id?: string; delay: number }
  if (!Number.isFinite(params.delay))
    throw new Defect('E_DELAY_INVALID', `${input.address} set a timer with delay ${params.delay}`, { event: params.event.type })
  const id = params.id ?? `t:${scope.nextId++}`
  return {
    op: action.op,
    id,
    to: to.address,
    event: payload(params.event, 'delayed event', born) as EventData,
    delayMs: Math.max(0, params.delay),
  }
}

/** A custom action. Reserved names are the engine's; a named one becomes an effect row without an answer; an inline one runs once after the commit. */
function act(
  code: StepCode,
  input: StepInput,
  born: Births,
  action: Action,
  out: { sends: Send[]; actions: ActionTaken[]; effectsOwed: EffectOwed[]; threadAppends: { thread: string; items: readonly Json[] }[] },
): void {
  const params = action.params === undefined ? undefined : payload(action.params, `params of ${action.type}`, born)
  if (action.type === 'ask') {
    const ask = params as unknown as AskParams
    out.sends.push({ op: action.op, to: ask.to, incarnation: null, kind: 'mail', event: ask.event, ask })
  } else if (action.type === 'thread.append') {
    out.threadAppends.push(params as unknown as ThreadAppend)
  } else if ((RESERVED_ACTIONS as readonly string[]).includes(action.type)) {
    if (input.machine !== SUPERVISOR_MACHINE)
      throw new Defect('E_ACTION_RESERVED', `${input.address} took ${action.type}, which only a supervisor may`, {
        hint: 'choose another name',
      })
    out.actions.push({ op: action.op, type: action.type, params })
  } else if (action.exec !== undefined && code.machine.implementations.actions[action.type] === action.exec) {
    const stored = {
      machine: input.machine,
      params: params ?? null,
      event: payload(action.info.event, 'event', born),
      context: payload(action.info.context, 'context', born),
    }
    out.effectsOwed.push({
      op: action.op,
      id: action.type,
      incarnation: 0,
      src: action.type,
      kind: 'action',
      input: stored,
      policy: 'repeat',
      timeoutMs: null,
      retry: NO_RETRY,
      reserve: null,
      answer: false,
    })
  } else if (action.exec !== undefined) {
    const { exec, info } = action
    out.actions.push({ op: action.op, type: action.type, params: undefined, run: () => exec(info, action.params) })
  }
}

/** Plain JSON of a value that leaves the step, with references as stored data. */
function payload(value: unknown, what: string, born: Births): Json {
  const plain = born.refs.size > 0 ? withRefs(value, born.refs) : value
  assertJson(plain, what, isRef)
  const text = JSON.stringify(plain)
  if (text.length > PAYLOAD_BYTES_MAX)
    throw new Defect('E_PAYLOAD_TOO_LARGE', `${what} is ${text.length} bytes, ${PAYLOAD_BYTES_MAX} are allowed`, {
      hint: 'pass an address or a file name instead',
    })
  return JSON.parse(text)
}

/** Logs are for people: what is not plain data is described, not refused. */
function loggable(value: unknown): Json {
  try {
    assertJson(value, 'log', isRef)
    return JSON.parse(JSON.stringify(value ?? null))
  } catch {
    return String(value)
  }
}

/** Last part of an address: the id that an actor goes by among its parent's children. */
export const idOf = (address: string): string => decodeURIComponent(address.slice(address.lastIndexOf('/') + 1))

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
