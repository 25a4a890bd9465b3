/** Rows and commits as an engine would make them, small and complete; folders that are gone after the test. */
import { hash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { NO_RETRY } from '../../../src/effect.ts'
import { CHUNK_KEY, CONCAT_KEY } from '../../../src/json.ts'
import type { Chunk, EncodedSnapshot, Envelope } from '../../../src/runtime/cell.ts'
import { chain, type JournalEntry, type UnsealedEntry } from '../../../src/runtime/journal.ts'
import type { AskRow, CellRow, Commit, EffectRow, RunRow, Store, TimerRow } from '../../../src/runtime/store.ts'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'

export const RUN = '01K0000000000000000000000A'
export const OWNER = { pid: process.pid, host: 'here', startedAt: 1_000 }

export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'troupe-store-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

export function openStore(path: string, options: { busyTimeoutMs?: number } = {}): Store {
  const store = sqliteStore({ path, ...options })
  onTestFinished(() => store.close())
  return store
}

export function runRow(run = RUN, more: Partial<RunRow> = {}): RunRow {
  return {
    run,
    name: 'demo',
    project: '/work',
    status: 'running',
    reason: null,
    tree: { id: 'team', children: [] },
    input: null,
    limits: { tokensMax: null, deadlineAt: null },
    meta: null,
    output: null,
    createdAt: 1_000,
    endedAt: null,
    epoch: 0,
    owner: null,
    position: 0,
    hash: '',
    clock: { runMs: 0, wallMs: 1_000 },
    counters: { seq: 0, effects: 0, timers: 0 },
    ...more,
  }
}

/** A commit that changes nothing but what is given. */
export function commit(more: Partial<Commit> = {}): Commit {
  return {
    run: RUN,
    epoch: 1,
    expectedPosition: 0,
    journal: [],
    cells: [],
    snapshots: [],
    envelopesAdded: [],
    envelopesDone: [],
    timersSet: [],
    timersDone: [],
    effects: [],
    asksAdded: [],
    asksDone: [],
    threadAppends: [],
    requestsDone: [],
    clock: { runMs: 10, wallMs: 2_000 },
    counters: { seq: 0, effects: 0, timers: 0 },
    run_: null,
    ...more,
  }
}

/** `count` sealed entries after position `after`. */
export function entries(count: number, after = 0, previous = '', more: Partial<UnsealedEntry> = {}): JournalEntry[] {
  const made: JournalEntry[] = []
  for (let pos = after + 1; pos <= after + count; pos++) {
    const entry: UnsealedEntry = {
      pos,
      at: 1_000 + pos,
      type: 'event.consumed',
      path: '/team',
      inc: 1,
      cause: null,
      data: `{"n":${pos}}`,
      ...more,
    }
    made.push({ ...entry, hash: chain(made.at(-1)?.hash ?? previous, entry) })
  }
  return made
}

/** A store with one run that holds `count` journal entries, and its owner. */
export function ownedRun(path: string, count = 0) {
  const store = openStore(path)
  store.createRun(runRow(), commit({ journal: entries(count) }))
  const owned = store.own(RUN, OWNER)
  return { store, owned }
}

export function cell(address: string, more: Partial<CellRow> = {}): CellRow {
  return {
    address,
    incarnation: 1,
    machine: 'coder',
    version: '1',
    parent: null,
    id: address.slice(1),
    supervised: true,
    status: 'active',
    since: 1,
    sync: false,
    readyTag: null,
    ready: true,
    input: null,
    children: [],
    nextId: 0,
    systemIds: {},
    exit: null,
    ...more,
  }
}

/** `context` is JSON text that may name the chunks. */
export function snapshot(text: string, { context = JSON.stringify(text), chunks }: { context?: string; chunks?: readonly Chunk[] } = {}) {
  const value = { a: text.slice(0, 10) }
  const json = `{"status":"active","value":${JSON.stringify(value)},"context":${context}}`
  const made: EncodedSnapshot = { json, hash: hash('sha256', json, 'hex'), status: 'active', value, tags: ['busy'] }
  return chunks === undefined ? made : { ...made, chunks }
}

/** A part of a snapshot that names others. */
export function chunk(text: string, ...chunks: readonly Chunk[]): Chunk {
  const json =
    chunks.length === 0 ? JSON.stringify(text) : `{"${CONCAT_KEY}":[${[JSON.stringify(text), ...chunks.map(chunkRef)].join(',')}]}`
  return { hash: hash('sha256', json, 'hex'), text: json, chunks }
}
export const chunkRef = ({ hash }: Chunk): string => `{"${CHUNK_KEY}":"${hash}"}`

export function envelope(seq: number, more: Partial<Envelope> = {}): Envelope {
  return {
    seq,
    kind: 'mail',
    to: '/team',
    incarnation: null,
    from: null,
    event: { type: 'task.assign', n: seq },
    order: `${seq}`,
    frames: [],
    cause: null,
    ...more,
  }
}

export function timer(id: number, more: Partial<TimerRow> = {}): TimerRow {
  const event = { type: 'late' }
  return {
    timer: id,
    owner: '/team',
    incarnation: 1,
    life: null,
    id: `t${id}`,
    to: '/team',
    event,
    dueAt: 0.5 + id,
    kind: 'event',
    cause: null,
    ...more,
  }
}

export function ask(id: number): AskRow {
  return { ask: id, asker: null, id: `ask-${id}`, to: '/team', timer: null }
}

export function effect(id: string, more: Partial<EffectRow> = {}): EffectRow {
  return {
    id,
    owner: '/team',
    incarnation: 1,
    invoke: 'generate',
    invocation: 1,
    src: 'generate',
    kind: 'llm.generate',
    input: { prompt: 'hello' },
    policy: 'repeat',
    timeoutMs: null,
    retry: NO_RETRY,
    reserve: { tokens: 100 },
    answer: true,
    status: 'owed',
    attempt: 0,
    startedAt: null,
    nextAt: null,
    output: undefined,
    error: null,
    usage: null,
    evidence: null,
    cause: 1,
    ...more,
  }
}

/** What a call throws, as data: code, message, and for users the exit code and whether it may be tried again. */
export function thrown(call: () => unknown): {
  readonly name: string
  readonly code: string
  readonly message: string
  readonly exit: number | undefined
  readonly retryable: boolean
} {
  try {
    call()
  } catch (error) {
    const { name, code, message, options } = error as Error & { code: string; options?: { exit: number; retryable?: boolean } }
    return { name, code, message, exit: options?.exit, retryable: options?.retryable ?? false }
  }
  throw new Error('it did not throw')
}

/** A store with one run, and a function that commits one journal entry and what is given, and returns its position. */
export function steps(path = join(folder(), 'troupe.db')) {
  const { store, owned } = ownedRun(path)
  let [position, hash] = [0, '']
  const step = (more: (at: number) => Partial<Commit>): number => {
    const [entry] = entries(1, position, hash)
    owned.commit(commit({ expectedPosition: position, journal: [entry!], ...more(position + 1) }))
    hash = entry!.hash
    return ++position
  }
  return { store, step, path }
}
