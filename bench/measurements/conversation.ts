/**
 * What one step of an agent writes whose conversation of 1 MB grows by 1 KB: as a thread, as an array in the context, and beside both what plain
 * SQLite takes for the message alone and for the whole snapshot.
 *
 *   payload: text handed to the store, before compression        log: what SQLite appends to its write-ahead log, in whole pages of 4 KB
 */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { createActor } from 'xstate'
import { createTroupe } from '../../src/actors/troupe.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { atMost, type Case, figure, type Measurement, type Options, scaled } from '../figure.ts'
import { recordingStore } from '../load/recording-store.ts'
import { listed, message, type Talk, threaded } from '../load/talkers.ts'
import { logBytes, payloadBytes } from '../load/weights.ts'
import { meter } from '../meter.ts'

const LENGTH = 1_000
const AGENTS = 64
const STEPS_ALONE = 64
const STEPS_GROUPED = 4
const PAYLOAD = atMost(4_096)
const LOG = { alone: atMost(24_576), grouped: atMost(16_384) }

export const conversation: Measurement = {
  name: 'conversation',
  question: 'what does a step write whose conversation of 1 MB grows by 1 KB?',
  run: async (options) => {
    const cases: Case[] = []
    for (const src of ['threaded', 'listed'] as const)
      for (const agents of [1, Math.max(2, scaled(AGENTS, options))]) cases.push(await measured(options, src, agents))
    return [...cases, await messageAlone(options), await wholeSnapshot(options)]
  },
}

async function measured(options: Options, src: 'threaded' | 'listed', agents: number): Promise<Case> {
  const [length, each] = [scaled(LENGTH, options), agents === 1 ? scaled(STEPS_ALONE, options) : STEPS_GROUPED]
  const path = join(options.folder, `${src}-${agents}.db`)
  const { store, recording } = recordingStore(sqliteStore({ path }))
  const troupe = createTroupe({ store, machines: { threaded, listed } })
  const children = Array.from({ length: agents }, (_, index) => {
    const input: Talk = { thread: `talk-${index}`, from: index * 100_000, length }
    return { id: `a${index}`, src, input: { ...input } }
  })
  const session = await troupe.start({ id: 'bench', children })
  const say = (round: number): Promise<unknown> =>
    Promise.all(
      children.map(({ id, input }) => session.send(`/bench/${id}`, { type: 'say', message: message(input.from + length + round) })),
    )
  await say(0) // Everybody is up when this is acknowledged.
  const known = new Set<string>()
  for (const commit of recording.commits) payloadBytes(commit, known)
  const before = recording.commits.length
  let wallUs = 0
  const log = await logBytes(path, async () => {
    const spent = await meter(async () => {
      for (let round = 1; round <= each; round++) await say(round)
    })
    wallUs = spent.wallUs
  })
  const payload = recording.commits.slice(before).reduce((sum, commit) => sum + payloadBytes(commit, known), 0)
  const commits = recording.commits.length - before
  await session.stop()
  troupe.close()
  const steps = each * agents
  const kind = src === 'threaded' ? 'as a thread' : 'as an array in the context'
  return {
    name: `${kind}: ${agents} agent${agents === 1 ? '' : 's'}, ${length} messages each, ${steps} steps in ${commits} commits`,
    figures: [
      figure('payload a step', 'bytes', payload / steps, PAYLOAD),
      figure('log a step', 'bytes', log / steps, agents === 1 ? LOG.alone : LOG.grouped),
      figure('time a step', 'us', wallUs / steps),
    ],
  }
}

/** The least that anybody must write: the message as one row. */
async function messageAlone(options: Options): Promise<Case> {
  return raw(options, 'baseline: the message alone, better-sqlite3, one row a commit', 'INSERT INTO said(text) VALUES (?)', (number) =>
    JSON.stringify(message(number)),
  )
}

/** What persisting XState's snapshot after each event writes. */
async function wholeSnapshot(options: Options): Promise<Case> {
  const actor = createActor(listed, { input: { thread: '', from: 0, length: scaled(LENGTH, options) } }).start()
  return raw(
    options,
    'baseline: createActor, its persisted snapshot in one row, better-sqlite3',
    'INSERT INTO said(id, text) VALUES (1, ?) ON CONFLICT DO UPDATE SET text = excluded.text',
    (number) => {
      actor.send({ type: 'say', message: message(number) })
      return JSON.stringify(actor.getPersistedSnapshot())
    },
  )
}

async function raw(options: Options, name: string, sql: string, next: (number: number) => string): Promise<Case> {
  const path = join(options.folder, `raw-${sql.length}.db`)
  const db = new Database(path)
  db.pragma('journal_mode = wal')
  db.pragma('synchronous = full')
  db.exec('CREATE TABLE said (id INTEGER PRIMARY KEY, text TEXT NOT NULL)')
  const statement = db.prepare(sql)
  const steps = scaled(STEPS_ALONE, options)
  let payload = 0
  let wallUs = 0
  const log = await logBytes(path, async () => {
    const spent = await meter(() => {
      for (let step = 0; step < steps; step++) {
        const text = next(1_000_000 + step)
        payload += Buffer.byteLength(text)
        statement.run(text)
      }
    })
    wallUs = spent.wallUs
  })
  db.close()
  return {
    name,
    figures: [
      figure('payload a step', 'bytes', payload / steps),
      figure('log a step', 'bytes', log / steps),
      figure('time a step', 'us', wallUs / steps),
    ],
  }
}
