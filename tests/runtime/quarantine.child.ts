/** One process of a run whose first effect ends its process: `quarantine.child.ts STORE`. Starts the run, or goes on with it; says the code that refuses it. */
import { setup } from 'xstate'
import { z } from 'zod'
import { createTroupe } from '../../src/actors/troupe.ts'
import { effect } from '../../src/effect.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'

const light = effect({ kind: 'fuse.light', input: z.object({}), output: z.null(), repeat: 'repeat' })
const bomb = setup({ actors: { light } }).createMachine({
  id: 'bomb',
  initial: 'lit',
  states: { lit: { invoke: { src: 'light', input: {} } } },
})
const store = sqliteStore({ path: process.argv[2]! })
const perform = (): never => {
  process.kill(process.pid, 'SIGKILL')
  throw new Error('it lives')
}
const troupe = createTroupe({ store, machines: { bomb }, effects: { light: { perform } } })
const [row] = store.runs()
try {
  const session =
    row === undefined ? await troupe.start({ id: 'top', children: [{ id: 'one', src: 'bomb' }] }) : await troupe.resume(row.run)
  await session.done()
} catch (error) {
  process.stdout.write((error as { code: string }).code)
}
store.close()
