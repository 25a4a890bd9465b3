/** One step of one machine without an engine: the input that an engine would give it. */

import type { AnyStateMachine } from 'xstate'
import { XSTATE_CHILDREN_MAX } from '../../src/limits.ts'
import type { EventData, StepInput, StepResult } from '../../src/runtime/cell.ts'
import type { Host } from '../../src/runtime/engine.ts'
import { createRegistry } from '../../src/runtime/registry.ts'

/** Type of the event that begins a life. */
export const START = 'troupe.start'

/** What the machine `m` at `/top/one` is given for this event, after the step before it. */
export function inputOf(event: EventData, before: StepResult | null = null): StepInput {
  const isStart = event.type === START
  return {
    address: '/top/one',
    incarnation: 1,
    machine: 'm',
    version: '1',
    snapshot: before === null || before.snapshot === 'unchanged' ? null : before.snapshot,
    children: before?.children ?? [],
    parent: { address: '/top', incarnation: 1 },
    systemIds: {},
    nextId: before?.nextId ?? 0,
    allowance: { children: XSTATE_CHILDREN_MAX - (before?.children ?? []).filter((link) => link.ended !== true).length, depth: 10 },
    envelope: {
      seq: 7,
      kind: isStart ? 'start' : 'mail',
      to: '/top/one',
      incarnation: isStart ? 1 : null,
      from: null,
      event,
      order: '000000007.0000',
      frames: ['/top/one'],
      cause: 3,
    },
    now: 1_234,
    seed: 'run:7',
  }
}

/** A registry with this machine alone, as `m`. */
export const registryOf = (m: unknown): Host => createRegistry({ machines: { m: m as AnyStateMachine }, effects: {} })
