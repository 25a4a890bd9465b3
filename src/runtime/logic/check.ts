/**
 * What of a machine cannot be durable, found before anything runs: the place, the rule that it breaks and what to do instead.
 *
 *   invoke, spawnChild   by a name of setup({ actors }): what is inline has no name to be found by after a crash
 *   context              a literal must be plain JSON; what a function makes is looked at in the first step
 *
 * What hides inside functions (`enqueueActions`, `spawn` in `assign`) shows when it is run, and crashes its actor then.
 */
import type { AnyStateMachine } from 'xstate'
import { UserError } from '../../errors.ts'
import { assertJson } from '../../json.ts'
import { MICROSTEPS_MAX } from '../../limits.ts'
import { isMachine, nodesOf, probe, type StateNode } from '../host.ts'
import { freeze } from '../snapshot.ts'

/**
 * Checks a machine and makes it ready to be hosted: its loops are bounded and its literal context is frozen.
 * @throws {UserError} `E_MACHINE_INVALID` (exit 3) naming the machine, the state and the rule.
 */
export function checkMachine(name: string, machine: unknown): asserts machine is AnyStateMachine {
  if (!isMachine(machine)) {
    const fix = 'make it with setup(...).createMachine(...), with one copy of xstate installed'
    throw invalid(name, '(root)', 'it is not a machine of this copy of xstate', fix)
  }
  probe(machine)
  checkContext(name, machine)
  machine.options.maxIterations = Math.min(machine.options.maxIterations ?? MICROSTEPS_MAX, MICROSTEPS_MAX)
  freeze(machine.config.context) // All actors of the machine begin with this one object.
  const known = machine.implementations.actors
  for (const node of nodesOf(machine)) {
    for (const { src } of node.invoke) checkSrc({ name, place: node.id, what: 'an invoke has', named: 'invoke names', src, known })
    for (const { what, action } of actionsOf(node)) checkSpawn(name, node.id, what, action, known)
  }
  for (const [key, action] of Object.entries(machine.implementations.actions))
    checkSpawn(name, '(actions)', `the action '${key}'`, action, known)
}

/** What a person is told of a machine that cannot be hosted. */
export function invalid(machine: string, state: string, rule: string, fix: string): UserError {
  return new UserError('E_MACHINE_INVALID', `machine ${machine}, \`${state}\`: ${rule}`, { where: machine, fix, exit: 3 })
}

function checkContext(name: string, machine: AnyStateMachine): void {
  const context: unknown = machine.config.context
  if (context === undefined || typeof context === 'function') return
  try {
    assertJson(context, 'context')
  } catch (thrown) {
    const fix = 'keep contexts plain JSON: an array for a Set, an object for a Map, milliseconds for a Date, a name for a function'
    throw invalid(name, '(root)', (thrown as Error).message, fix)
  }
}

interface Used {
  readonly name: string
  readonly place: string
  /** How the message begins: with inline logic, and with a name. */
  readonly what: string
  readonly named: string
  readonly src: unknown
  readonly known: Readonly<Record<string, unknown>>
}

function checkSrc({ name, place, what, named, src, known }: Used): void {
  if (typeof src !== 'string' || src.startsWith('xstate.invoke.'))
    throw invalid(name, place, `${what} inline logic`, 'name it in setup({ actors })')
  if (known[src] === undefined) {
    const rule = `${named} '${src}', which is not in setup({ actors })`
    throw invalid(name, place, rule, `add '${src}' to setup({ actors }); those given to .extend() are dropped by XState`)
  }
}

function checkSpawn(name: string, place: string, what: string, action: unknown, known: Readonly<Record<string, unknown>>): void {
  if (typeof action !== 'function') return
  const { type, src } = action as { readonly type?: unknown; readonly src?: unknown }
  if (type === 'xstate.spawnChild') checkSrc({ name, place, what: `${what} spawns`, named: `${what} spawns`, src, known })
}

/** The actions of a state that can be seen, each with where it stands. */
function actionsOf(node: StateNode): { readonly what: string; readonly action: unknown }[] {
  const transitions = [...node.transitions.values(), ...(node.always === undefined ? [] : [node.always])].flat()
  return [
    ...node.entry.map((action) => ({ what: 'an entry action', action })),
    ...node.exit.map((action) => ({ what: 'an exit action', action })),
    ...(node.initial?.actions ?? []).map((action) => ({ what: 'an initial action', action })),
    ...transitions.flatMap(({ eventType, actions }) =>
      actions.map((action) => ({ what: eventType === '' ? 'an action of always' : `an action of '${eventType}'`, action })),
    ),
  ]
}
