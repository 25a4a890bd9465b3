/**
 * What becomes of an `after` while nobody runs, as its state says:
 *
 *   meta: { deadline: 'absolute' }    the time goes on: overdue when somebody runs again. The default
 *   meta: { deadline: 'remaining' }   the time stands still: what was left of it is left of it
 *   meta: { deadline: 'restart' }     it begins anew when the run is resumed
 *
 * It is read when the timer is set and kept on its row: a resume asks no machine for it.
 */
import type { AnyStateMachine } from 'xstate'
import { nodesOf, type StateNode } from './host.ts'
import { invalid } from './logic/check.ts'

/** What becomes of an `after` while nobody runs. */
export type DeadlinePolicy = 'absolute' | 'remaining' | 'restart'

const WORDS: readonly unknown[] = ['absolute', 'remaining', 'restart'] satisfies DeadlinePolicy[]

const known = new WeakMap<AnyStateMachine, ReadonlyMap<string, DeadlinePolicy>>()

/** Of the timer with this id of XState's, such as `xstate.after.5000.order.paying`. */
export function deadlinePolicyOf(machine: AnyStateMachine, timerId: string): DeadlinePolicy {
  const policies = known.get(machine) ?? read(machine)
  known.set(machine, policies)
  return policies.get(timerId) ?? 'absolute'
}

/** @throws {UserError} `E_MACHINE_INVALID` for another word: it would be absolute in silence. What is no text, or stands on a state without `after`, is the user's own. */
export function checkDeadlines(name: string, machine: AnyStateMachine): void {
  for (const node of nodesOf(machine)) {
    const word = wordOf(node)
    if (typeof word === 'string' && !WORDS.includes(word) && timersOf(node).length > 0)
      throw invalid(name, node.id, `its meta.deadline is '${word}'`, `write one of: ${WORDS.join(', ')}`)
  }
}

function read(machine: AnyStateMachine): ReadonlyMap<string, DeadlinePolicy> {
  const policies = new Map<string, DeadlinePolicy>()
  for (const node of nodesOf(machine)) {
    const word = wordOf(node)
    if (WORDS.includes(word)) for (const id of timersOf(node)) policies.set(id, word as DeadlinePolicy)
  }
  return policies
}

const wordOf = ({ meta }: StateNode): unknown =>
  typeof meta === 'object' && meta !== null ? (meta as { deadline?: unknown }).deadline : undefined

const timersOf = ({ transitions }: StateNode): string[] => [...transitions.keys()].filter((type) => type.startsWith('xstate.after.'))
