/**
 * One life of eight agents under a budget, in a process of its own that is killed for real: `spender.child.ts FOLDER SEED [last]`. What the world is paid is
 * appended to a file before anything else happens. Time is fifty times as fast. Speaks on stdout: `ready`, `over`.
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { createTroupe } from '../../src/actors/troupe.ts'
import type { Usage } from '../../src/effect.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { systemClock } from '../../src/runtime/clocks/system.ts'
import { localEngine } from '../../src/runtime/engines/local.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { handlers, machines, orders, RUN_BUDGET, tree, World } from '../simulation/spenders.ts'

const SPEED = 50
const [folder = '', seed = '1', last = ''] = process.argv.slice(2)
const clock: Clock = {
  wallMs: () => systemClock.wallMs(),
  random: () => systemClock.random(),
  defer: (callback) => systemClock.defer(callback),
  monotonicMs: () => systemClock.monotonicMs() * SPEED,
  setTimer: (delayMs, callback) => systemClock.setTimer(delayMs / SPEED, callback),
}
class Till extends World {
  override pay(path: string, effect: string, usage: Usage): void {
    appendFileSync(join(folder, 'paid'), `${JSON.stringify({ path, effect, usage })}\n`)
  }
}
const store = sqliteStore({ path: join(folder, 'troupe.db') })
const effects = handlers(Number(seed), new Till())(clock)
const troupe = createTroupe({ engine: localEngine({ store, clock }), machines, effects, reap: async () => [] })
const before = store.runs({})[0]
const run = before === undefined ? await troupe.start(tree, { budget: RUN_BUDGET, quarantine: false }) : await troupe.resume(before.run)
process.stdout.write('ready\n')
// Who has spent what it may stays idle, so every life has something to do until nobody can do anything.
for (const { to, event, afterMs } of orders(Number(seed), last === '' ? 10_000 : 60)) {
  await new Promise<void>((resolve) => clock.setTimer(afterMs / 4, resolve))
  await run.send(to, event).catch(() => {}) // It is between two lives.
}
await run.send('/team', { type: 'shutdown' })
await run.done()
store.close()
process.stdout.write('over\n')
