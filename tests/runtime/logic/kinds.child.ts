/** Prints which kind each of XState's logics is taken for, and which build of XState it was. Run with `-C development` for the other one. */
import { createRequire } from 'node:module'
import { createMachine, fromCallback, fromEventObservable, fromObservable, fromPromise, fromTransition } from 'xstate'
import { kindOf, probeKinds } from '../../../src/runtime/logic/kinds.ts'
import { createRegistry } from '../../../src/runtime/registry.ts'

const never = (): never => {
  throw new Error('a function of the user was called')
}
const logics = {
  promise: fromPromise(never),
  callback: fromCallback(never),
  observable: fromObservable(never),
  eventObservable: fromEventObservable(never),
  transition: fromTransition(never, never),
  wrapped: { ...fromPromise(never) },
  machine: createMachine({}),
  handmade: { transition: never, getInitialSnapshot: never, getPersistedSnapshot: never, start: never },
  nothing: {},
}
probeKinds()
createRegistry({
  machines: {
    m: createMachine({ id: 'm', initial: 'a', states: { a: { invoke: { src: 'kid' } } } }).provide({
      actors: { kid: createMachine({}) },
    }) as never,
  },
})
const build = createRequire(import.meta.url)
  .resolve('xstate')
  .includes('development')
  ? 'development'
  : 'production'
console.log(
  JSON.stringify({ build, kinds: Object.fromEntries(Object.entries(logics).map(([name, logic]) => [name, kindOf(logic) ?? null])) }),
)
