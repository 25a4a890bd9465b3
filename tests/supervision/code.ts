/** The code that every process of a stage has: what `createTroupe` makes of its machines, with workers that do what a table says and effects that tests answer. */
import { createTroupe, type Troupe } from '../../src/actors/troupe.ts'
import type { Json } from '../../src/json.ts'
import type { Engine, Host } from '../../src/runtime/engine.ts'
import { localEngine } from '../../src/runtime/engines/local.ts'
import { memoryStore } from '../../src/runtime/stores/memory.ts'
import { client, type Does, inputWith, worker } from './actors.ts'
import { nameOf } from './trace.ts'

/** Behaviour by place below the team or by id, `*` for all; a list: of the first life, the second, ..., and the last of all later ones. Read at each start. */
export type Workers = Record<string, Does | readonly Does[]>

/** An effect that waits for its answer; `of` is the caller's input. */
export interface Call {
  readonly of: Json
  readonly answer: (output: Json) => void
}

const HOST = hostOf((engine) =>
  createTroupe({ engine, machines: { worker, client }, effects: { call: { perform: () => null } }, reap: async () => [] }),
)

function hostOf(make: (engine: Engine) => Troupe): Host {
  let found: Host | undefined
  const keep = (_: unknown, host: Host): Promise<never> => {
    found = host
    return new Promise(() => {})
  }
  void make({ ...localEngine({ store: memoryStore() }), resume: keep }).resume('none')
  if (found === undefined) throw new Error('createTroupe has given no host')
  return found
}

/** @param calls  gets each effect that is performed. */
export function codeOf(workers: Workers, calls: Call[]): Host {
  const step: Host['step'] = (input) => {
    if (input.machine !== 'worker' || input.envelope.kind !== 'start') return HOST.step(input)
    const given = input.envelope.event['input']
    const event = { ...input.envelope.event, input: inputWith(given, doesOf(workers, nameOf(input.address), input.incarnation)) }
    return HOST.step({ ...input, envelope: { ...input.envelope, event } })
  }
  const perform = ({ input: { of } }: { input: { of: Json } }): Promise<Json> => new Promise((answer) => calls.push({ of, answer }))
  const handler: Host['handler'] = (row) => ({ declaration: HOST.handler(row).declaration, handler: { perform } })
  return { ...HOST, step, handler }
}

function doesOf(workers: Workers, name: string, life: number): Does {
  const table = workers[name] ?? workers[name.split('/').at(-1) ?? name] ?? workers['*'] ?? {}
  return Array.isArray(table) ? (table[Math.min(life, table.length) - 1] ?? {}) : (table as Does)
}
