/**
 * A process that sends events as fast as it can: `closing.child.ts <store>`. It says `{run}` once a hundred are accepted; at SIGTERM it stops the run,
 * closes the store twice, says `{accepted, dropped}`, and ends by itself.
 */
import { createTroupe } from '../../../../src/actors/troupe.ts'
import { sqliteStore } from '../../../../src/runtime/stores/sqlite/store.ts'
import { counter } from '../../counter.ts'

const store = sqliteStore({ path: process.argv[2]! })
const troupe = createTroupe({ store, machines: { counter }, reap: async () => [] })
const session = await troupe.start({ id: 'top', children: [{ id: 'one', src: 'counter' }] })
const sends: Promise<unknown>[] = []
let accepted = 0
const dropped: string[] = []
let stopping = false

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
function send(): void {
  for (let n = 0; n < 20; n++) {
    sends.push(
      session.send('/top/one', { type: 'add', n: 1 }).then(
        () => void (++accepted === 100 && say({ run: session.id })),
        (error: { code: string }) => void dropped.push(error.code),
      ),
    )
  }
  if (!stopping) setImmediate(send)
}
process.once('SIGTERM', async () => {
  send()
  stopping = true
  await session.stop()
  await Promise.all(sends)
  troupe.close()
  store.close()
  say({ accepted, dropped: [...new Set(dropped)] })
})
send()
