/** As many coders as there is work: a dynamic supervisor makes each from one template, and restarts the one that crashes. Run it: npx node main.ts */
import { assign, setup } from 'xstate'
import { z } from 'zod'
import { createTroupe, effect, memoryStore } from '../../src/index.ts'

const write = effect({ kind: 'code.write', input: z.object({ file: z.string() }), output: z.number(), repeat: 'repeat' })
const coder = setup({
  types: { context: {} as { file: string; lines: number }, input: {} as { file: string } },
  actors: { write },
}).createMachine({
  id: 'coder',
  context: ({ input }) => ({ file: input.file, lines: 0 }),
  initial: 'writing',
  states: {
    writing: {
      invoke: {
        src: 'write',
        input: ({ context }) => ({ file: context.file }),
        onDone: { target: 'done', actions: assign({ lines: ({ event }) => event.output }) },
      },
    },
    done: { type: 'final' },
  },
  output: ({ context }) => context,
})

const begin = Promise.withResolvers<void>()
let failures = 1 // The first attempt at parse.ts fails: its coder crashes and is started again.
const perform = async ({ input: { file } }: { input: { file: string } }): Promise<number> => {
  await begin.promise
  if (file === 'parse.ts' && failures-- > 0) throw new Error('model unreachable')
  return file.length * 10
}
const troupe = createTroupe({ store: memoryStore(), machines: { coder }, effects: { write: { perform } } })
const run = await troupe.start({
  id: 'team',
  children: [{ id: 'coders', dynamic: { src: 'coder', restart: 'transient', childrenMax: 3 }, intensity: 3, periodMs: 60_000 }],
})

const order = (file: string) => run.ask('/team/coders', { type: 'child.start', input: { file }, task: file })
const files = new Map<string, string>() // Who writes what: a coder's name is made from its task.
for (const file of ['parse.ts', 'csv.ts', 'report.ts', 'docs.md']) {
  const { type, id, why } = await order(file)
  console.log(`${file}: ${why === undefined ? type : `${type}, ${why}: three coders are at work`}`)
  files.set(`/team/coders/${id}`, file)
}
begin.resolve()

const ended: string[] = []
for await (const { type, path, data } of run.watch()) {
  if (type === 'actor.restarted') console.log(`the coder of ${files.get(String(path))} crashed and was started again`)
  if (type === 'actor.stopped') ended.push(`done: ${JSON.stringify((data['reason'] as { output: unknown }).output)}`)
  if (ended.length === 3) break
}
console.log(ended.sort().join('\n'))
const again = await order('csv.ts')
console.log(`csv.ts: ${again.type}, ${again['why']}: it has been done`)
await run.stop()
troupe.close()
