/** A till crashes on an event that it cannot take. Its supervisor starts it again, from what it knew before. Run it: npx node main.ts */
import { type AnyActorRef, assign, sendTo, setup } from 'xstate'
import { createTroupe, memoryStore } from '../../src/index.ts'

function cents(price: string): number {
  if (!/^\d+$/.test(price)) throw new Error(`no price: ${price}`)
  return Number(price)
}

const till = setup({
  types: {
    context: {} as { cents: number },
    events: {} as { type: 'sell'; price: string } | { type: 'total'; replyTo: AnyActorRef },
  },
}).createMachine({
  id: 'till',
  context: { cents: 0 },
  on: {
    sell: { actions: assign({ cents: ({ context, event }) => context.cents + cents(event.price) }) },
    total: {
      actions: sendTo(
        ({ event }) => event.replyTo,
        ({ context }) => ({ type: 'total', cents: context.cents }),
      ),
    },
  },
})

const troupe = createTroupe({ store: memoryStore(), machines: { till } })
const run = await troupe.start({
  id: 'shop',
  intensity: 3, // Three restarts within a minute are survived; a fourth would end the shop.
  periodMs: 60_000,
  children: [{ id: 'till', src: 'till', restart: 'permanent', from: 'checkpoint' }],
})

for (const price of ['250', 'two euros', '120']) await run.send('/shop/till', { type: 'sell', price })
const { cents: total } = await run.ask('/shop/till', { type: 'total' })

for (const { type, path, data } of troupe.read(run.id)?.frames() ?? []) {
  if (type === 'actor.crashed') console.log(`${path} crashed: ${data['message']}; the event is kept as a dead letter`)
  if (type === 'actor.restarted')
    console.log(`${path} was started again from its ${data['from']}, restart ${data['count']} of ${data['max']}`)
}
console.log(`sold for ${total} cents, in life ${run.snapshot('/shop/till')?.incarnation}`)
await run.stop()
troupe.close()
