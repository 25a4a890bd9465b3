/**
 * The registry of code: machines by name, the machines and effects they invoke, and the handlers that perform effects.
 * It is checked when it is made, so that what cannot be durable is refused before anything runs, with the place and the fix.
 */
import { type AnyStateMachine, StateMachine } from 'xstate'
import { type EffectCall, type EffectDeclaration, type EffectHandler, type EffectLogic, effectOf } from '../effect.ts'
import { Defect, UserError } from '../errors.ts'
import type { Json } from '../json.ts'
import { MICROSTEPS_MAX } from '../limits.ts'
import type { EventData, StepInput, StepResult } from './cell.ts'
import type { Host } from './engine.ts'
import { nodesOf, probe } from './host.ts'
import { parseWithRefs } from './ref.ts'
import { decode, freeze } from './snapshot.ts'
import { step } from './step.ts'
import type { EffectRow } from './store.ts'

export type Machines = Readonly<Record<string, AnyStateMachine>>
// biome-ignore lint/suspicious/noExplicitAny: handlers of different effects stand side by side.
type AnyEffectHandler = EffectHandler<any, any>

// biome-ignore lint/suspicious/noExplicitAny: only the actors of the machine's type are looked at.
type ActorsOf<T> = T extends StateMachine<any, any, any, infer Actor, any, any, any, any, any, any, any, any, any, any> ? Actor : never
type EffectActor<Actor> = Actor extends { src: infer Src extends string; logic: EffectLogic<infer Input, infer Output> }
  ? { src: Src; handler: EffectHandler<Input, Output> }
  : never

/**
 * Handlers by the name under which machines invoke the effect, with the types of its schemas; or by its kind, which holds a dot (`release.publish`).
 * Types reach the machines that are registered by name, not those that only they invoke.
 */
export type Handlers<M extends Machines> = {
  readonly [Src in EffectActor<ActorsOf<M[keyof M]>>['src']]?: Extract<EffectActor<ActorsOf<M[keyof M]>>, { src: Src }>['handler']
} & {
  readonly [kind: `${string}.${string}`]: AnyEffectHandler
}

interface Entry {
  readonly name: string
  readonly machine: AnyStateMachine
  readonly version: string
}

export interface RegistryOptions {
  readonly machines: Machines
  /** By the name under which machines invoke the effect, or by its kind. */
  readonly effects?: Readonly<Record<string, AnyEffectHandler | undefined>>
  readonly reap?: Host['reap']
}

/** @throws {UserError} `E_MACHINE_INVALID` (exit 3) naming the machine, the state and the rule. */
export function createRegistry(options: RegistryOptions): Host {
  const byName = new Map<string, Entry>()
  const byMachine = new Map<unknown, Entry>()
  const declarations = new Map<string, EffectDeclaration>()
  // All names of the options first: a machine that stands there by name goes by that name when another one invokes it, too.
  const top = Object.entries(options.machines)
  const fresh = top.filter(([name, machine]) => add(name, machine))
  for (const [name, machine] of fresh) addActors(name, machine)

  /** Returns whether the machine is new: it may have another name already. */
  function add(name: string, machine: AnyStateMachine): boolean {
    const isNew = !byMachine.has(machine)
    if (isNew) check(name, machine)
    const entry: Entry = { name, machine, version: machine.version ?? '1' }
    byName.set(name, entry)
    if (isNew) byMachine.set(machine, entry)
    return isNew
  }

  function addActors(name: string, machine: AnyStateMachine): void {
    for (const [src, logic] of Object.entries(machine.implementations.actors)) {
      const declaration = effectOf(logic)
      if (declaration !== undefined) declarations.set(declaration.kind, declaration)
      else if (!isMachine(logic))
        throw invalid(name, '(actors)', `'${src}' is neither a machine nor an effect(...)`, `declare it with effect(...), or as a machine`)
      else if (add(`${name}/${src}`, logic)) addActors(`${name}/${src}`, logic)
    }
  }

  /** Rows keep the name that a machine had at their time: `parent/kid` is found by its way, whatever else the machine is called by now. */
  const find = (name: string): Entry | undefined => {
    const machine = byName.has(name) ? undefined : machineBelow(options.machines, name)
    if (machine !== undefined) byName.set(name, { name, machine, version: machine.version ?? '1' })
    return byName.get(name)
  }
  const entryOf = (name: string): Entry => {
    const entry = find(name)
    if (entry === undefined)
      throw new Defect('E_MACHINE_UNKNOWN', `no machine '${name}' is registered; there are: ${[...byName.keys()].join(', ')}`, {
        hint: 'add it to createTroupe({ machines })',
      })
    return entry
  }
  const childOf = (logic: unknown) => {
    const effect = effectOf(logic)
    if (effect !== undefined) return { effect }
    const entry = byMachine.get(logic)
    return entry === undefined ? undefined : { machine: entry.name }
  }

  return {
    machineVersion: (name) => entryOf(name).version,
    accepts: (name, snapshot, children, event) => {
      try {
        return decode(entryOf(name).machine, snapshot, children).can(event)
      } catch {
        return false // A guard of it throws, or its machine has no such state any more.
      }
    },
    step: (input: StepInput): StepResult => step(() => ({ machine: entryOf(input.machine).machine, childOf }), input),
    handler: (row) => ({ declaration: declarationOf(declarations, row), handler: handlerOf(options.effects ?? {}, row) }),
    action: (name, action, call) => performAction(entryOf(name).machine, action, call),
    reap: options.reap ?? (async () => []),
  }
}

function machineBelow(actors: Readonly<Record<string, unknown>>, path: string): AnyStateMachine | undefined {
  for (const [src, logic] of Object.entries(actors)) {
    if (!isMachine(logic)) continue
    if (path === src) return logic
    const found = path.startsWith(`${src}/`) ? machineBelow(logic.implementations.actors, path.slice(src.length + 1)) : undefined
    if (found !== undefined) return found
  }
  return undefined
}

function declarationOf(declarations: ReadonlyMap<string, EffectDeclaration>, row: Pick<EffectRow, 'kind'>): EffectDeclaration {
  const declaration = declarations.get(row.kind)
  if (declaration === undefined)
    throw new Defect('E_EFFECT_UNKNOWN', `no machine in the registry invokes an effect of kind ${row.kind}`, {})
  return declaration
}

function handlerOf(
  handlers: Readonly<Record<string, AnyEffectHandler | undefined>>,
  row: Pick<EffectRow, 'kind' | 'src'>,
): AnyEffectHandler {
  const handler = handlers[row.kind] ?? handlers[row.src]
  if (handler === undefined) {
    throw new Defect('E_EFFECT_UNHANDLED', `effect ${row.kind} has no handler`, {
      hint: `createTroupe({ effects: { '${row.kind}': { perform } } })`,
    })
  }
  return handler
}

/** A named action, performed from its stored row: its context is the one it saw, its references cannot be used to send. */
function performAction(machine: AnyStateMachine, name: string, call: EffectCall<Json>): Promise<void> | void {
  const stored = call.input as { params: Json; event: EventData; context: Json }
  const action: unknown = machine.implementations.actions[name]
  if (typeof action !== 'function') throw new Defect('E_ACTION_UNKNOWN', `the machine has no action '${name}' any more`, {})
  const info = parseWithRefs(JSON.stringify({ context: stored.context, event: stored.event }))
  return (action as (info: unknown, params: unknown) => Promise<void> | void)(info, stored.params ?? undefined)
}

function isMachine(logic: unknown): logic is AnyStateMachine {
  return logic instanceof StateMachine
}

function check(name: string, machine: AnyStateMachine): void {
  if (!isMachine(machine)) {
    throw invalid(
      name,
      '(root)',
      'it is not a machine of this copy of xstate',
      'make it with setup(...).createMachine(...), with one copy of xstate installed',
    )
  }
  probe(machine)
  machine.options.maxIterations = Math.min(machine.options.maxIterations ?? MICROSTEPS_MAX, MICROSTEPS_MAX)
  freeze(machine.config.context) // All actors of the machine begin with this one object.
  for (const node of nodesOf(machine)) {
    for (const invoke of node.invoke) {
      if (invoke.src.startsWith('xstate.invoke.'))
        throw invalid(name, node.id, 'an invoke has inline logic', 'name it in setup({ actors })')
      if (machine.implementations.actors[invoke.src] === undefined)
        throw invalid(
          name,
          node.id,
          `invoke names '${invoke.src}', which is not in setup({ actors })`,
          `add '${invoke.src}' to setup({ actors })`,
        )
    }
  }
}

function invalid(machine: string, state: string, rule: string, fix: string): UserError {
  return new UserError('E_MACHINE_INVALID', `machine ${machine}, \`${state}\`: ${rule}`, { where: machine, fix, exit: 3 })
}
