/**
 * A step of `fromTransition` logic: a reducer is pure, so it lives as a durable cell like a machine, without states, timers or children.
 *
 *   stored snapshot -> {status, context} -> transition(snapshot, event, scope) -> stored snapshot
 *
 * What it emits through its scope is collected; nothing else of the scope may act inside a step.
 */
import { Defect } from '../../errors.ts'
import { assertJson, type Json } from '../../json.ts'
import type { EncodedSnapshot, EventData, StepInput, StepResult } from '../cell.ts'
import type { LiveSnapshot, Scope } from '../host.ts'
import { checkedShape } from '../outgoing.ts'
import { isRef, parseWithRefs } from '../ref.ts'
import { decode, encode } from '../snapshot.ts'
import type { PlainLogic } from './kinds.ts'

type Reduced = Pick<StepResult, 'snapshot' | 'exit' | 'handled' | 'emits'>

/** What of a reducer's snapshot is kept. Logic that was made by hand may hold more, and would lose it. */
const KEPT: ReadonlySet<string> = new Set([
  'status',
  'context',
  'output',
  'error',
  'value',
  'children',
  'historyValue',
  'tags',
  'machine',
  'can',
])

/** @throws what the reducer throws; {Defect} `E_NOT_JSON` naming the place in its context. */
export function reduce(logic: PlainLogic, input: StepInput, scope: Scope): Reduced {
  const emits: EventData[] = []
  scope.emit = (event) => emits.push(emitted(input, event))
  const event = parseWithRefs(JSON.stringify(input.envelope.event)) as EventData
  const before = input.snapshot === null ? null : decode(logic as never, input.snapshot, [])
  const after = (
    before === null ? logic.getInitialSnapshot(scope, event['input']) : logic.transition(before, event, scope)
  ) as Partial<LiveSnapshot>
  if (after.status === 'error') throw after.error
  const unknown = Object.keys(after).find((key) => !KEPT.has(key))
  if (unknown !== undefined)
    throw new Defect('E_LOGIC_SNAPSHOT', `${input.address} keeps '${unknown}' in its snapshot, and only its context is stored`, {
      hint: 'make the logic with fromTransition(reducer, context)',
    })
  const isSame = before !== null && after.context === before.context && after.status === before.status
  return { snapshot: isSame ? 'unchanged' : encoded(logic, after), exit: exitOf(after), handled: true, emits }
}

const NO_TAGS = new Set<string>()

function encoded(machine: PlainLogic, { status = 'active', context, output }: Partial<LiveSnapshot>): EncodedSnapshot {
  if (context === undefined) throw new Defect('E_NOT_JSON', 'context is undefined: a reducer must return its next context', {})
  return encode({ status, value: null, context, output, children: {}, historyValue: {}, tags: NO_TAGS, machine } as unknown as LiveSnapshot)
}

function exitOf({ status, output }: Partial<LiveSnapshot>): StepResult['exit'] {
  if (status !== 'done') return null
  if (output === undefined) return { kind: 'normal' }
  assertJson(output, 'output', isRef)
  return { kind: 'normal', output: JSON.parse(JSON.stringify(output)) as Json }
}

function emitted(input: StepInput, event: unknown): EventData {
  assertJson(event, 'emitted event', isRef)
  return checkedShape(input, JSON.parse(JSON.stringify(event)), 'emitted event')
}
