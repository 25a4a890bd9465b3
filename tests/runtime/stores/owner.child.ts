/**
 * A process that owns a run: `owner.child.ts <command> <store> <run>`. It says one JSON object a line, and obeys lines of standard input.
 *   own      ready, then at `go`: tries to own the run; at `take`: takes it over; at `commit`: one commit; at `release`: lets go
 *   write    owns, then commits without end, saying each position once it is acknowledged
 *   strain   owns, then commits until it fails; at `again`: once more
 */
import { createInterface } from 'node:readline'
import { chain } from '../../../src/runtime/journal.ts'
import type { Owned } from '../../../src/runtime/store.ts'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'

const [command, path, run] = process.argv.slice(2) as [string, string, string]
const store = sqliteStore({ path })
let owned: Owned | null = null
const parent = process.ppid

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
function attempt(work: () => object): void {
  try {
    say(work())
  } catch (error) {
    const { name, code, message, options } = error as Error & { code: string; options?: object }
    say({ failed: code, name, message, ...options, cause: undefined })
  }
}
function own(options: { takeOver?: boolean } = {}): object {
  owned = store.own(run, { pid: process.pid, host: 'child-host', startedAt: 1 }, options)
  return { epoch: owned.epoch }
}
/** Each commit holds two entries, a kilobyte of payload, and an entry of a thread: three tables that must agree afterwards. */
function commit(): object {
  if (process.ppid !== parent) process.exit(1) // Its test is gone, and nobody would ever end it.
  const { position, hash, counters } = store.run(run)!
  const at = { at: 1, type: 'step.committed', path: '/team', inc: 1, cause: null }
  const first = { ...at, pos: position + 1, data: JSON.stringify({ fill: 'x'.repeat(1_000) }) }
  const second = { ...at, pos: position + 2, data: '{}' }
  const one = chain(hash, first)
  owned!.commit({
    ...{ run, epoch: owned!.epoch, expectedPosition: position, run_: null, counters, clock: { runMs: 0, wallMs: Date.now() } },
    ...{ cells: [], snapshots: [], envelopesAdded: [], envelopesDone: [], timersSet: [], timersDone: [], effects: [] },
    ...{
      asksAdded: [],
      asksDone: [],
      requestsDone: [],
      threadAppends: [{ thread: 't', items: [String(position + 2)], born: position + 2 }],
    },
    journal: [
      { ...first, hash: one },
      { ...second, hash: chain(one, second) },
    ],
  })
  return { position: position + 2 }
}
function strain(): never {
  for (;;) commit()
}
function release(): object {
  owned?.release()
  return { released: true }
}

const orders: Readonly<Record<string, () => object>> = {
  go: () => own(),
  take: () => own({ takeOver: true }),
  commit,
  release,
  again: commit,
  strain,
}

if (command === 'write') {
  attempt(() => own())
  for (;;) attempt(commit)
}
if (command === 'strain') attempt(() => own())
say({ ready: process.pid })
for await (const line of createInterface({ input: process.stdin })) attempt(orders[line]!)
