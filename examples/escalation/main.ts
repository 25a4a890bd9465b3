/** A crash that restarts do not mend goes upwards, supervisor by supervisor, until the run ends and says why. Run it: npx node main.ts */
import { assign, setup } from 'xstate'
import { createTroupe, memoryStore } from '../../src/index.ts'

const printer = setup({}).createMachine({
  id: 'printer',
  after: {
    5: {
      actions: assign(() => {
        throw new Error('paper jam')
      }),
    },
  },
})
const clock = setup({}).createMachine({ id: 'clock' })

const troupe = createTroupe({ store: memoryStore(), machines: { printer, clock } })
const run = await troupe.start({
  id: 'house',
  intensity: 1,
  periodMs: 60_000,
  children: [
    { id: 'clock', src: 'clock' },
    // Two restarts of the printer, then the office gives up. The house starts it again once: 3 * 2 starts in the worst case.
    { id: 'office', intensity: 2, periodMs: 60_000, children: [{ id: 'printer', src: 'printer' }] },
  ],
})

for await (const { type, path, data } of run.watch()) {
  if (type === 'actor.crashed') console.log(`${path} crashed: ${data['message']}`)
  if (type === 'actor.restarted') console.log(`  restart ${data['count']} of ${data['max']} of ${path}`)
  if (type === 'supervisor.gave_up') console.log(`${path} gives up: more than ${data['max']} restarts of ${data['child']}`)
}
const { status, reason } = await run.done()
console.log(`${status}: ${reason?.code} ${reason?.message}`)
troupe.close()
