/**
 * The registry of code: machines by name, the machines and effects they invoke, and the handlers that perform effects.
 * It is checked when it is made, so that what cannot be durable is refused before anything runs, with the place and the fix.
 */
import type { AnyStateMachine, StateMachine } from 'xstate'
import { type EffectCall, type EffectDeclaration, type EffectHandler, type EffectLogic, effectOf } from '../effect.ts'
import { Defect } from '../errors.ts'
import type { Json } from '../json.ts'
import type { ChildCode } from './births.ts'
import type { EventData, StepInput, StepResult } from './cell.ts'
import { checkDeadlines, deadlinePolicyOf } from './deadline-policy.ts'
import type { Host } from './engine.ts'
import { isMachine } from './host.ts'
import { checkMachine, invalid } from './logic/check.ts'
import { checkDeclaration } from './logic/check-effect.ts'
import { kindOf, type PlainLogic, probeKinds } from './logic/kinds.ts'
import { type MigrationSpec, migrate, migrationPath } from './migrations.ts'
import { parseWithRefs } from './ref.ts'
import { decode } from './snapshot.ts'
import { step } from './step.ts'
import type { EffectRow, MachineRow } from './store.ts'
import { definitionOf } from './versions.ts'

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

/** Code that cells run: a machine, or the reducer of `fromTransition`. */
type CellCode = AnyStateMachine | PlainLogic

interface Entry {
  readonly name: string
  readonly machine: CellCode
  readonly version: string
}

export interface RegistryOptions {
  readonly machines: Machines
  /** By the name under which machines invoke the effect, or by its kind. */
  readonly effects?: Readonly<Record<string, AnyEffectHandler | undefined>>
  readonly reap?: Host['reap']
  readonly health?: Host['health']
  readonly vitals?: Host['vitals']
  /** By the name of the machine. */
  readonly migrations?: Migrations
}

/** What takes stored actors over from older versions of their machines, by the name of the machine; those that only others invoke are `parent/src`. */
type Migrations = Readonly<Record<string, MigrationSpec | undefined>>

/** @throws {UserError} `E_MACHINE_INVALID` (exit 3) naming the machine, the state and the rule. */
export function createRegistry(options: RegistryOptions): Host {
  const byName = new Map<string, Entry>()
  const byMachine = new Map<unknown, Entry>()
  const declarations = new Map<string, EffectDeclaration>()
  probeKinds()
  // All names of the options first: a machine that stands there by name goes by that name when another one invokes it, too.
  const top = Object.entries(options.machines)
  const fresh = top.filter(([name, machine]) => add(name, machine))
  for (const [name, machine] of fresh) addActors(name, machine)
  for (const name of Object.keys(options.migrations ?? {})) {
    if (find(name) === undefined)
      throw invalid(name, '(migrations)', 'there is a migration for it, but no such machine', `one of: ${[...byName.keys()].join(', ')}`)
  }

  /** Returns whether the machine is new: it may have another name already. */
  function add(name: string, machine: CellCode): boolean {
    const isNew = !byMachine.has(machine)
    if (isNew && kindOf(machine) !== 'transition') {
      checkMachine(name, machine)
      checkDeadlines(name, machine)
    }
    const entry = entryFor(name, machine)
    byName.set(name, entry)
    if (isNew) byMachine.set(machine, entry)
    return isNew
  }

  function addActors(name: string, machine: CellCode): void {
    if (!isMachine(machine)) return
    for (const [src, logic] of Object.entries(machine.implementations.actors)) {
      const declaration = effectOf(logic)
      const kind = kindOf(logic)
      if (declaration !== undefined) declare(name, src, declaration)
      else if (isMachine(logic) || kind === 'transition') {
        if (add(`${name}/${src}`, logic as CellCode)) addActors(`${name}/${src}`, logic as CellCode)
      } else if (kind === undefined) {
        const fix = 'make it with setup(...).createMachine, effect, fromPromise, fromTransition, fromCallback or fromObservable'
        throw invalid(name, '(actors)', `'${src}' is no logic that is known here`, fix)
      }
    }
  }

  function declare(name: string, src: string, declaration: EffectDeclaration): void {
    checkDeclaration(name, src, declaration)
    declarations.set(declaration.kind, declaration)
  }

  /** Rows keep the name that a machine had at their time: `parent/kid` is found by its way, whatever else the machine is called by now. */
  function find(name: string): Entry | undefined {
    const machine = byName.has(name) ? undefined : machineBelow(options.machines, name)
    if (machine !== undefined) byName.set(name, entryFor(name, machine))
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
  const childOf = (logic: unknown): ChildCode | undefined => {
    const effect = effectOf(logic)
    if (effect !== undefined) return { effect }
    const entry = byMachine.get(logic)
    if (entry !== undefined) return { machine: entry.name }
    const kind = kindOf(logic)
    return kind === undefined || kind === 'transition' ? undefined : { logic: kind }
  }

  return {
    machineVersion: (name) => entryOf(name).version,
    machine: (name) => machineRow(name, find(name)),
    migration: (name, from) => {
      const { machine, version } = entryOf(name)
      const path = migrationPath(options.migrations?.[name], from, version)
      return path === null || !isMachine(machine) ? null : (actor) => migrate(machine, path, actor)
    },
    accepts: (name, snapshot, children, event) => {
      try {
        const { machine } = entryOf(name)
        return isMachine(machine) && decode(machine, snapshot, children).can(event)
      } catch {
        return false // A guard of it throws, or its machine has no such state any more.
      }
    },
    deadlinePolicy: (name, timerId) => {
      const machine = find(name)?.machine
      return isMachine(machine) ? deadlinePolicyOf(machine, timerId) : 'absolute'
    },
    step: (input: StepInput): StepResult => step(() => ({ machine: entryOf(input.machine).machine, childOf }), input),
    handler: (row) => ({ declaration: declarationOf(declarations, row), handler: handlerOf(options.effects ?? {}, row) }),
    logic: (name, src) => logicOf(entryOf(name), src),
    action: (name, action, call) => performAction(entryOf(name).machine, action, call),
    reap: options.reap ?? (async () => []),
    health: options.health,
    vitals: options.vitals,
  }
}

const entryFor = (name: string, machine: CellCode): Entry => ({
  name,
  machine,
  version: (isMachine(machine) ? machine.version : undefined) ?? '1',
})

function logicOf({ name, machine }: Entry, src: string): PlainLogic {
  const logic: unknown = isMachine(machine) ? machine.implementations.actors[src] : undefined
  if (kindOf(logic) !== undefined) return logic as PlainLogic
  throw new Defect('E_ACTOR_MISSING', `the machine '${name}' has no promise, callback or observable '${src}' any more`, {
    hint: 'register its src',
  })
}

const rows = new WeakMap<CellCode, MachineRow>()

function machineRow(name: string, entry: Entry | undefined): MachineRow | null {
  if (entry === undefined) return null
  const { machine, version } = entry
  const known = rows.get(machine)
  if (known?.name === name) return known
  const row = { name, version, definition: definitionOf(machine) as unknown as Json }
  rows.set(machine, row)
  return row
}

function machineBelow(actors: Readonly<Record<string, unknown>>, path: string): CellCode | undefined {
  for (const [src, logic] of Object.entries(actors)) {
    if (path === src && kindOf(logic) === 'transition') return logic as PlainLogic
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
function performAction(machine: CellCode, name: string, call: EffectCall<Json>): Promise<void> | void {
  const stored = call.input as { params: Json; event: EventData; context: Json }
  const action: unknown = isMachine(machine) ? machine.implementations.actions[name] : undefined
  if (typeof action !== 'function') throw new Defect('E_ACTION_UNKNOWN', `the machine has no action '${name}' any more`, {})
  const info = parseWithRefs(JSON.stringify({ context: stored.context, event: stored.event }))
  return (action as (info: unknown, params: unknown) => Promise<void> | void)(info, stored.params ?? undefined)
}
