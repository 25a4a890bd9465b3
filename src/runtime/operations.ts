/**
 * The operations of a step that are neither a birth nor a stop, in source order: sends, timers, cancels, named and inline actions, emits, logs.
 * What leaves the step is checked to be plain JSON here, with references as stored data.
 */
import { NO_RETRY } from '../effect.ts'
import { Defect, errorData } from '../errors.ts'
import { assertJson, type Json } from '../json.ts'
import { type Incarnation, isSupervisor, RESERVED_ACTIONS } from '../protocol.ts'
import { type Births, missingActor, type StepCode } from './births.ts'
import type { ActionTaken, EffectOwed, EventData, Send, StepInput, StepResult, TimerSet } from './cell.ts'
import { type Action, isMachine, type Scope } from './host.ts'
import { checkedAsk, checkedEvent, checkedShape, checkedThread, fitting } from './outgoing.ts'
import { idOf, isRef, type Ref } from './ref.ts'
import { withRefs } from './snapshot.ts'

/** Everything that is not a birth or a stop, in source order. */
export function collect(
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
        cancel(operation.op, String(params['sendId']), out)
        break
      case 'xstate.emit':
        out.emits.push(checkedShape(input, payload(params['event'], 'emitted event', born), 'emitted event'))
        break
      case 'xstate.log':
        out.logs.push({ label: params['label'] === undefined ? null : String(params['label']), value: loggable(params['value']) })
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
  const params = action.params as { to: unknown; event: unknown; delay?: unknown }
  if (born.dropped.has(params.to)) return // Its child was born and stopped in this very step.
  const to = isRef(params.to) ? params.to : born.refs.get(params.to)
  if (to === undefined) {
    const { type } = checkedShape(input, payload(params.event, 'event', born), 'event')
    throw new Defect('E_SEND_TO_NOBODY', `${input.address} sent ${type} to nobody`, { hint: 'check the id that sendTo names' })
  }
  if (typeof params.delay === 'number') {
    out.timersSet.push(timer(input, scope, born, action, to))
    return
  }
  const error = to.address === input.parent?.address ? errorEvent(input, params.event, born) : undefined
  const event = error ?? checkedEvent(input, payload(params.event, 'event', born), 'event')
  out.sends.push({ op: action.op, to: to.address, incarnation: lifeOf(input, to), kind: 'mail', event })
}

/**
 * Mail is for whoever lives at an address, but for an own child: the next one under its id is somebody else, also for a reference that was kept.
 * What lives below a supervisor are lives of one address, and mail goes to the address.
 */
function lifeOf(input: StepInput, to: Ref): Incarnation | null {
  const isBelow = to.address.startsWith(`${input.address}/`) && !to.address.includes('/', input.address.length + 1)
  return isBelow && !isSupervisor(input.machine) ? to.incarnation : null
}

/** XState rewrites `xstate.error` on its way out, and so does this. Undefined: it is another event. */
function errorEvent(input: StepInput, event: unknown, born: Births): EventData | undefined {
  const { type, data = null } = (event ?? {}) as { type?: unknown; data?: unknown }
  if (type !== 'xstate.error') return undefined
  const id = idOf(input.address)
  const error = data instanceof Error ? errorData(data) : payload(data, 'error', born)
  return { type: `xstate.error.actor.${id}`, error, actorId: id }
}

function timer(input: StepInput, scope: Scope, born: Births, action: Action, to: Ref): TimerSet {
  const params = action.params as { event: unknown; id?: unknown; delay: number }
  const data = payload(params.event, 'delayed event', born)
  const isAfter =
    action.type === 'xstate.raise' && (data as EventData | null)?.type === params.id && /^xstate\.after\./.test(String(params.id))
  const event = isAfter ? (data as EventData) : checkedEvent(input, data, 'delayed event')
  if (!Number.isFinite(params.delay))
    throw new Defect('E_DELAY_INVALID', `${input.address} set a timer with delay ${params.delay}`, { event: event.type })
  const id = params.id === undefined ? `t:${scope.nextId++}` : String(params.id)
  return { op: action.op, id, to: to.address, incarnation: lifeOf(input, to), event, delayMs: Math.max(0, params.delay) }
}

/** What was set earlier in this very step is cancelled with the rest: a state that is only passed through leaves no timer. */
function cancel(op: number, id: string, out: { timersSet: TimerSet[]; timersCleared: { op: number; id: string }[] }): void {
  out.timersSet = out.timersSet.filter((timer) => timer.id !== id)
  out.timersCleared.push({ op, id })
}

/** A custom action. Reserved names are the engine's; a named one becomes an effect row without an answer; an inline one runs once after the commit. */
function act(
  code: StepCode,
  input: StepInput,
  born: Births,
  action: Action,
  out: {
    sends: Send[]
    actions: ActionTaken[]
    effectsOwed: EffectOwed[]
    threadAppends: { thread: string; items: readonly Json[] }[]
    journal: { type: string; data: Json }[]
  },
): void {
  const params = action.params === undefined ? undefined : payload(action.params, `params of ${action.type}`, born)
  if (action.type === 'ask') {
    const ask = checkedAsk(input, params)
    out.sends.push({ op: action.op, to: ask.to, incarnation: null, kind: 'mail', event: ask.event, ask })
  } else if (action.type === 'thread.append') {
    out.threadAppends.push(checkedThread(input, params))
  } else if ((RESERVED_ACTIONS as readonly string[]).includes(action.type)) {
    if (!isSupervisor(input.machine))
      throw new Defect('E_ACTION_RESERVED', `${input.address} took ${action.type}, which only a supervisor may`, {
        hint: 'choose another name',
      })
    out.actions.push({ op: action.op, type: action.type, params })
  } else if (action.exec !== undefined && isNamed(code, action)) {
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
  } else {
    // XState lets a name without an implementation pass without a word; a person who misses its effect should find it.
    out.journal.push({ type: 'action.missing', data: { action: action.type } })
  }
}

function isNamed({ machine }: StepCode, { type, exec }: Action): boolean {
  return isMachine(machine) && machine.implementations.actions[type] === exec
}

/** Plain JSON of a value that leaves the step, with references as stored data. */
function payload(value: unknown, what: string, born: Births): Json {
  const plain = born.refs.size > 0 ? withRefs(value, born.refs) : value
  assertJson(plain, what, isRef)
  return JSON.parse(fitting(JSON.stringify(plain), what))
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
