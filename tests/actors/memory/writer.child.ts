/**
 * A process that remembers: `writer.child.ts HOME PROJECT NAME COUNT`. It says `ready`, enqueues COUNT facts `NAME 0` ... at the first line of standard
 * input, says each time so many more are committed, stops, and says its statistics.
 */
import { once } from 'node:events'
import { openMemories } from '../../../src/actors/memory/memories.ts'

const [home = '', project = '', name = '', count = ''] = process.argv.slice(2)
const say = (line: object): boolean => process.stdout.write(`${JSON.stringify(line)}\n`)
const memories = openMemories({ home })
const memory = memories.open(project)
say({ ready: process.pid })
await once(process.stdin, 'data')
let committed = 0
for (let n = 0; n < Number(count); n++) {
  const text = `${name} ${n}`
  const asked = memory.enqueue({ type: 'ADD_FACT', key: text, text, source: name })
  if (asked.accepted) void asked.done.then((end) => say(end.ok ? { committed: ++committed } : end))
  else say(asked)
}
const left = await memories.close()
say({ left, ...memory.statistics() })
// A process that exits by itself has said all of it; `process.exit` would cut it off.
process.stdin.destroy()
