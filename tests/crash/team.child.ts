/** One life of the team in a process of its own: `team.child.ts FOLDER [COMMIT before|after]`. Prints `ready`, and `result JSON` when it ends by itself. */
import { teamLife } from './team-lives.ts'

const [folder = '', commit, when] = process.argv.slice(2)
process.stdout.write('ready\n')
const point = commit === undefined ? null : { commit: Number(commit), when: when as 'before' | 'after' }
process.stdout.write(`result ${JSON.stringify(await teamLife(folder, point, () => process.kill(process.pid, 'SIGKILL')))}\n`)
