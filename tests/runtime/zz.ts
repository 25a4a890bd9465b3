import { setup } from 'xstate'
import { z } from 'zod'
import { effect } from '../../src/effect.ts'
import { createTroupe } from '../../src/actors/troupe.ts'
const bake = effect({ kind: 'bread.bake', input: z.object({ loaves: z.number() }), output: z.number(), repeat: 'repeat' })
const kitchen = setup({ actors: { bake } }).createMachine({ id: 'kitchen' })
createTroupe({ machines: { kitchen }, effects: { bake: { perform: ({ input }) => input.loaves } } })
// @ts-expect-error wrong
createTroupe({ machines: { kitchen }, effects: { bake: { perform: ({ input }) => input.loavs } } })
// @ts-expect-error wrong
createTroupe({ machines: { kitchen }, effects: { bakee: { perform: () => 1 } } })
createTroupe({ machines: { kitchen }, effects: { 'x.y': { perform: () => 1 } } })
