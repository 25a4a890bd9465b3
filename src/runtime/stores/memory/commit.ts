/**
 * The write path in two halves, so that a commit is all or nothing without a way back:
 *
 *   stage   every value becomes text, every rule is checked: this may throw, and nothing has changed
 *   apply   plain writes to maps: these cannot fail
 */
import { Defect } from '../../../errors.ts'
import type { Chunk, EncodedSnapshot } from '../../cell.ts'
import type { JournalEntry } from '../../journal.ts'
import { OPEN } from '../../status.ts'
import type { CellRow, Commit, EffectRow } from '../../store.ts'
import { type Lives, Versions } from './history.ts'
import { type CellText, changedText, type EffectText, type MemoryRun, type SnapshotText } from './run.ts'
import { toText } from './text.ts'

export type CommitBody = Omit<Commit, 'run' | 'epoch' | 'expectedPosition'>
type Write = () => void

/**
 * Checks a commit and gives the function that writes it.
 * @throws {Defect} `E_JOURNAL_GAP`, `E_NOT_JSON`, `E_COMMIT_INVALID`, `E_STORE_CONSTRAINT`; nothing has changed then.
 */
export function stage(run: MemoryRun, body: CommitBody): Write {
  const { position } = run.head
  const last = position + body.journal.length
  const writes: Write[] = [
    stageJournal(run, body.journal),
    ...body.cells.map(({ born, ...row }) => stageCell(run, row, born ?? last)),
    stageSnapshots(run, body),
    ...body.effects.map(({ effect, changed }) => stageEffect(run, effect, changed)),
    stageLives(
      run.envelopes,
      'envelope',
      body.envelopesAdded.map(({ envelope: row, born }) => ({ id: row.seq, born, row })),
    ),
    stageLives(
      run.timers,
      'timer',
      body.timersSet.map(({ timer: row, born }) => ({ id: row.timer, born, row })),
    ),
    stageLives(
      run.asks,
      'ask',
      body.asksAdded.map(({ ask: row, born }) => ({ id: row.ask, born, row })),
    ),
    ...(body.machines ?? []).map(({ name, version, definition }) => {
      const text = toText(definition, `definition of machine ${name}`)
      return () => void run.machines.set(`${name}\0${version}`, { name, version, definition: text })
    }),
  ]
  const text = body.run_ === null ? run.text : changedText(run, body.run_)
  const { clock, counters } = body
  return () => {
    for (const write of writes) write()
    for (const { seq, died } of body.envelopesDone) run.envelopes.end(seq, died)
    for (const { timer, died } of body.timersDone) run.timers.end(timer, died)
    for (const { ask, died } of body.asksDone) run.asks.end(ask, died)
    for (const { thread, items, born } of body.threadAppends) {
      const list = entryOf(run.threads, thread, () => [])
      for (const item of items) list.push({ born, item })
    }
    for (const request of body.requestsDone) run.requests.delete(request)
    const hash = body.journal.at(-1)?.hash ?? run.head.hash
    run.head = { epoch: run.head.epoch, position: last, hash, clock: { ...clock }, counters: { ...counters } }
    run.text = text
  }
}

/** The numbers of a commit and of its run do not meet. */
export function gap(found: number, wanted: number): Defect {
  return new Defect('E_JOURNAL_GAP', `journal position ${found} was given where ${wanted} is next`)
}

function stageJournal(run: MemoryRun, journal: readonly JournalEntry[]): Write {
  const kept = journal.map(({ pos, at, type, path, inc, cause, data, hash }, index) => {
    const wanted = run.head.position + 1 + index
    if (pos !== wanted) throw gap(pos, wanted)
    return Object.freeze({ pos, at, type, path, inc, cause, data, hash })
  })
  return () => {
    for (const entry of kept) run.entries.push(entry)
    if (kept.length > 0) run.ends.push(kept.at(-1)!.pos)
  }
}

/** A late row of an older life is of no use to anybody. Where an address was gone, whoever comes next is its newest life. */
function stageCell(run: MemoryRun, row: CellRow, born: number): Write {
  const { address, incarnation, machine, version, status } = row
  const parent = row.parent?.address ?? null
  const held = toText(row.systemIds, `system ids of ${address}`)
  const systemIds = held === '{}' ? null : (JSON.parse(held) as CellText['systemIds'])
  const next: CellText = { incarnation, machine, version, parent, systemIds, text: toText(row, address) }
  return () => {
    const versions = entryOf(run.cells, address, () => new Versions<CellText>())
    const before = versions.at()
    if (before !== undefined && before.row.incarnation > incarnation) return
    if (before?.row.parent != null) run.kids.get(before.row.parent)?.delete(address)
    if (status === 'gone') return versions.end(born)
    versions.add(born, next)
    if (parent !== null) entryOf(run.kids, parent, () => new Set<string>()).add(address)
  }
}

/** A snapshot belongs to the entry of the step that took it: one position, one snapshot. */
function stageSnapshots(run: MemoryRun, { snapshots, journal }: CommitBody): Write {
  const { position } = run.head
  const taken = new Set<number>()
  const kept = snapshots.map(({ address, incarnation, snapshot, born }): readonly [string, SnapshotText, EncodedSnapshot] => {
    const entry = journal[born - position - 1]
    if (entry === undefined) throw invalid(`the snapshot of ${address} is born at ${born}, which is no entry of its commit`)
    if (taken.has(born)) throw invalid(`two snapshots are born at ${born}; the second is of ${address}`)
    taken.add(born)
    const { json, hash, status } = snapshot
    const value = toText(snapshot.value, `state of ${address}`)
    const tags = toText(snapshot.tags, `tags of ${address}`)
    return [address, { position: born, incarnation, at: entry.at, snapshot: { json, hash, status, value, tags } }, snapshot]
  })
  return () => {
    for (const [address, row, { chunks }] of kept) {
      const snapshot = chunks === undefined ? row.snapshot : { ...row.snapshot, chunks: chunks.map((chunk) => keepChunk(run, chunk)) }
      entryOf(run.snapshots, address, () => [] as SnapshotText[]).push({ ...row, snapshot })
    }
  }
}

/** One object for one content, of our own: what was given may be changed by whoever gave it. */
export function keepChunk({ chunks }: Pick<MemoryRun, 'chunks'>, chunk: Chunk): Chunk {
  const known = chunks.get(chunk.hash)
  if (known !== undefined) return known
  const below = Object.freeze(chunk.chunks.map((part) => keepChunk({ chunks }, part)))
  const kept = Object.freeze({ hash: chunk.hash, text: chunk.text, chunks: below })
  chunks.set(chunk.hash, kept)
  return kept
}

/** What ids of effects look like: other stores keep the number alone. */
const EFFECT_ID = /^e[1-9]\d{0,9}$/

/** An input may be large and never changes in practice: versions share its text where it is the same. */
function stageEffect(run: MemoryRun, effect: EffectRow, changed: number): Write {
  const { input, output, ...rest } = effect
  const { id } = effect
  if (!EFFECT_ID.test(id)) throw invalid(`${JSON.stringify(id)} is no id of an effect: e1, e2, ...`)
  const given = toText(input, `input of ${id}`)
  const row = {
    isOpen: OPEN.includes(effect.status),
    output: output === undefined ? null : toText(output, `output of ${id}`),
    rest: toText(rest, id),
  }
  return () => {
    const versions = entryOf(run.effects, id, () => new Versions<EffectText>())
    const before = versions.at()?.row.input
    versions.add(changed, { ...row, input: before === given ? before : given })
    if (row.isOpen) run.openEffects.add(id)
    else run.openEffects.delete(id)
  }
}

function stageLives(
  lives: Lives,
  what: string,
  added: readonly { readonly id: number; readonly born: number; readonly row: unknown }[],
): Write {
  const ids = new Set<number>()
  const rows = added.map(({ id, born, row }) => {
    if (ids.has(id) || lives.has(id)) throw new Defect('E_STORE_CONSTRAINT', `the store refused a row: ${what} ${id} was added before`)
    ids.add(id)
    return { id, born, text: toText(row, `${what} ${id}`) }
  })
  return () => {
    for (const { id, born, text } of rows) lives.add(id, born, text)
  }
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key)
  if (found !== undefined) return found
  const made = make()
  map.set(key, made)
  return made
}

function invalid(message: string): Defect {
  return new Defect('E_COMMIT_INVALID', message)
}
