/**
 * What a power cut may leave, by the rules that POSIX gives and no kinder ones. From the list of all changes of a process, cut off anywhere:
 *
 *   content   what was there at the last sync of a file is there; of what was written since, any sectors of 512 bytes, in any order, or none
 *   sizes     what was synced; of later changes any
 *   names     files made, removed and renamed since the last sync of their folder: any first part of them, as journaling file systems do it
 *
 *   changes 1..n --> which files exist, which of their writes are pending --> keep none | all | any | the last only --> files of an image
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Chance } from './chance.ts'
import type { Change } from './disk.ts'

const SECTOR_BYTES = 512

/** Which of the pending changes reached the disk. */
export const KEEPS = ['none', 'all', 'any', 'last'] as const
export type Keep = (typeof KEEPS)[number]

type Content = Extract<Change, { kind: 'write' | 'truncate' }>

interface File {
  /** As of its last sync. */
  synced: Buffer
  readonly pending: Content[]
}

interface Name {
  readonly path: string
  /** Null: the name goes away. */
  readonly file: File | null
}

/** The state of a disk after so many changes: what is sure, and what is on its way. */
export class PowerCut {
  /** As the process sees it. */
  readonly #names = new Map<string, File>()
  readonly #synced = new Map<string, File>()
  #pending: Name[] = []

  constructor(changes: readonly Change[]) {
    for (const change of changes) this.#apply(change)
  }

  #apply(change: Change): void {
    const file = this.#names.get(change.path)
    if (change.kind === 'create') this.#name({ path: change.path, file: { synced: Buffer.alloc(0), pending: [] } })
    else if (change.kind === 'unlink') this.#name({ path: change.path, file: null })
    else if (change.kind === 'rename') {
      this.#name({ path: change.path, file: null })
      if (file !== undefined) this.#name({ path: change.to, file })
    } else if (change.kind === 'write' || change.kind === 'truncate') file?.pending.push(change)
    else if (file === undefined) this.#syncFolder(change.path)
    else file.synced = grown(file.synced, file.pending.splice(0), () => true)
  }
  #name(name: Name): void {
    this.#pending.push(name)
    put(this.#names, name)
  }
  #syncFolder(path: string): void {
    for (const name of this.#pending.filter((pending) => dirname(pending.path) === path)) put(this.#synced, name)
    this.#pending = this.#pending.filter((pending) => dirname(pending.path) !== path)
  }

  /** Files by path, as a machine finds them that starts again. */
  image(keep: Keep, chance: Chance): ReadonlyMap<string, Buffer> {
    const names = new Map(this.#synced)
    const count = keep === 'none' ? 0 : keep === 'any' ? chance.below(this.#pending.length + 1) : this.#pending.length
    for (const name of this.#pending.slice(0, count)) put(names, name)
    return new Map([...names].map(([path, file]) => [path, grown(file.synced, file.pending, kept(keep, file.pending.length, chance))]))
  }
}

function put(names: Map<string, File>, { path, file }: Name): void {
  if (file === null) names.delete(path)
  else names.set(path, file)
}

/** Says of each pending change, and of each of its sectors, whether it is there. */
function kept(keep: Keep, changes: number, chance: Chance): (index: number) => boolean {
  if (keep === 'none') return () => false
  if (keep === 'all') return () => true
  if (keep === 'last') return (index) => index >= changes - 2
  const odds = 1 + chance.below(9)
  return () => chance.below(10) < odds
}

function grown(content: Buffer, changes: readonly Content[], isKept: (index: number) => boolean): Buffer {
  const ends = changes.map((change) => (change.kind === 'write' ? change.offset + change.data.length : change.size))
  const bytes = Buffer.alloc(Math.max(content.length, ...ends))
  content.copy(bytes)
  let size = content.length
  for (const [index, change] of changes.entries()) {
    if (change.kind === 'truncate') {
      if (!isKept(index)) continue
      bytes.fill(0, change.size, Math.max(size, change.size))
      size = change.size
      continue
    }
    for (let from = 0; from < change.data.length; ) {
      const to = Math.min(change.data.length, from + SECTOR_BYTES - ((change.offset + from) % SECTOR_BYTES))
      if (isKept(index)) {
        change.data.copy(bytes, change.offset + from, from, to)
        size = Math.max(size, change.offset + to)
      }
      from = to
    }
  }
  return Buffer.from(bytes.subarray(0, size))
}

/** Writes those files of an image that lie below `from` to the same places below `to`. */
export function writeImage(image: ReadonlyMap<string, Buffer>, from: string, to: string): void {
  for (const [path, bytes] of image) {
    if (!path.startsWith(`${from}/`)) continue
    const target = join(to, path.slice(from.length))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, bytes)
  }
}
