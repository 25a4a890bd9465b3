/** Who depends on whom is the order of a list: `rest_for_one` restarts the one that crashed and all that were started after it. Run it: npx node main.ts */
import { assign, setup } from 'xstate'
import { createTroupe, memoryStore } from '../../src/index.ts'

const service = setup({ types: { events: {} as { type: 'break' } } }).createMachine({
  id: 'service',
  on: {
    break: {
      actions: assign(() => {
        throw new Error('connection lost')
      }),
    },
  },
})

const troupe = createTroupe({ store: memoryStore(), machines: { service } })
const run = await troupe.start({
  id: 'app',
  strategy: 'rest_for_one', // one_for_one: the cache alone; one_for_all: the database, too
  intensity: 2,
  periodMs: 10_000,
  children: ['database', 'cache', 'web'].map((id) => ({ id, src: 'service' })),
})
await run.ask('/app', { type: 'child.count' }) // Everybody has started.
const before = run.tree().children
await run.send('/app/cache', { type: 'break' })
const answer = await run.ask('/app', { type: 'child.list' })

for (const { type, path, inc, data } of troupe.read(run.id)?.frames() ?? []) {
  if (type === 'actor.crashed') console.log(`crashed  ${path}#${inc}  ${data['message']}`)
  if (type === 'actor.stopped') console.log(`stopped  ${path}#${inc}`)
  if (type === 'actor.started') console.log(`started  ${path}#${inc}`)
}
const lives = (answer['children'] as { id: string; incarnation: number }[]).map(({ id, incarnation }) => `${id} ${incarnation}`)
console.log(`before: ${before.map(({ id, incarnation }) => `${id} ${incarnation}`).join(', ')}`)
console.log(`after:  ${lives.join(', ')}`)
await run.stop()
troupe.close()
