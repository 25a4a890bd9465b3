/**
 * One life of the world in a process of its own, killed for real: `world.child.ts FOLDER TURN_STEPS [COMMIT before|after] [no-reap] [SHRED_SECONDS]`.
 * Speaks one line per fact on stdout: `ready`, `run ID`, `strays N`, `acknowledged N`, `result JSON`.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { strays } from '../../src/actors/reaper.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { type KillPoint, killingStore } from './killing-store.ts'
import { audit, Ledger } from './ledger.ts'
import { drive, makeTroupe, tree } from './world.ts'

const [folder = '', turnSteps = '256', commit = '', when = '', reaping = '', shred = '0.1'] = process.argv.slice(2)
const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}
const acknowledgedFile = join(folder, 'acknowledged')
const acknowledged = new Set(
  existsSync(acknowledgedFile) ? readFileSync(acknowledgedFile, 'utf8').split('\n').filter(Boolean).map(Number) : [],
)
const point: KillPoint | null = commit === '' || commit === '-' ? null : { commit: Number(commit), when: when as KillPoint['when'] }
const store = killingStore(sqliteStore({ path: join(folder, 'troupe.db') }), point, () => process.kill(process.pid, 'SIGKILL'))
const ledger = new Ledger(join(folder, 'ledger'))
const troupe = makeTroupe({
  store,
  folder,
  ledger,
  turnStepsMax: Number(turnSteps),
  reap: reaping === 'no-reap' ? async () => [] : undefined,
  shredSeconds: Number(shred),
})
const before = store.runs({})[0]
say('ready')
const report = (output: unknown, run: string): void =>
  say(`result ${JSON.stringify({ output, found: audit(store, run, ledger), left: strays(run).length, commits: store.commits() })}`)
if (before?.status === 'succeeded') {
  report(before.output, before.run)
  process.exit()
}
const session = before === undefined ? await troupe.start(tree, { quarantine: false }) : await troupe.resume(before.run)
say(`run ${session.id}`)
say(`strays ${strays(session.id).length}`)
await Promise.all([
  drive(session, acknowledged, (n) => {
    appendFileSync(acknowledgedFile, `${n}\n`)
    say(`acknowledged ${n}`)
  }).catch((error: { code?: string }) => {
    if (error.code !== 'E_RUN_STOPPED') throw error // It had been sent everything before, and ended under our hands.
  }),
  session.done(),
])
const result = await session.done()
report(result.output, session.id)
store.close()
