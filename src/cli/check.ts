/** `troupe check <task>`: the tree that a task would start, checked, with the worst case of its restarts. Starts nothing. */
import { planTree } from '../actors/plan.ts'
import { teamTree } from '../actors/team.ts'
import { plural } from '../view/format.ts'
import type { Context } from './context.ts'
import { readTask } from './run.ts'

/** Exit 0 where the tree is valid. @throws {UserError} `E_TASK_NOT_FOUND`, `E_TASK_INVALID` (3). */
export async function check(context: Context, argument: string): Promise<number> {
  const { task, file } = await readTask(argument, context.config.dir)
  const { actors, worstStarts } = planTree(teamTree(task, { dir: context.config.dir }).tree)
  if (context.flags.json || context.flags.jsonl) {
    context.io.json({
      schema: 'troupe.plan/1',
      type: 'result',
      file,
      worstStarts,
      actors: actors.map(({ path, words, starts }) => ({ path, words, starts })),
    })
    return 0
  }
  for (const { path, depth, words, starts } of actors) {
    const name = `${'  '.repeat(depth)}${path.slice(path.lastIndexOf('/') + 1)}`
    context.io.out(`${name.padEnd(24)}  ${words}${starts === null ? '' : `   at most ${plural(starts, 'start')}`}`)
  }
  context.io.out(`worst case: an actor that crashes at each start is started ${plural(worstStarts, 'time')}, then the run has failed`)
  return 0
}
