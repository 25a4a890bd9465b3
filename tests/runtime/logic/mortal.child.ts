/** A process that starts the run `r` in the folder that it is given, sends it the event that it is given, and dies of that by SIGKILL. */
import { join } from 'node:path'
import { createTroupe } from '../../../src/actors/troupe.ts'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'
import { linesOf, MORTAL_TREE, mortal } from './mortal.ts'

const [folder = '', event = ''] = process.argv.slice(2)
const file = join(folder, 'world.log')
const machine = mortal(file, () => process.kill(process.pid, 'SIGKILL'))
const troupe = createTroupe({ store: sqliteStore({ path: join(folder, 'troupe.db') }), machines: { mortal: machine } })
const session = await troupe.start(MORTAL_TREE, { id: 'r' })
const isUp = (): boolean =>
  linesOf(file).length === 2 && (session.snapshot('/top/one')?.context as { heard?: string[] } | null)?.heard?.length === 1
while (!isUp()) await new Promise((resolve) => setTimeout(resolve, 2))
await session.send('/top/one', { type: event }).catch(() => {})
await new Promise((resolve) => setTimeout(resolve, 20_000))
process.exit(1)
