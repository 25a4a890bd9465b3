/** Runs a command for a run and lives until it is killed. */
import { runCommand } from '../../src/actors/sandboxes/none.ts'

const [command = '', cwd = '', run = ''] = process.argv.slice(2)
await runCommand({ command, cwd, run, effect: 'e1' })
