/**
 * Restart limits, counted once more from the journal and the tree's own literal: what the supervisor says of its count is not believed.
 *
 *   an end of a child (actor.crashed, actor.stopped)   its time on the run clock
 *   actor.restarted                                    one more in the window of its supervisor: at most `intensity` within `periodMs`
 *   supervisor.gave_up                                 only where the next one would have been one too many
 *
 * Members of a group that is restarted with the child that failed are not counted. A supervisor that starts anew has an empty window.
 */
import type { TreeSpec } from '../../protocol.ts'
import { Broken, type Fact, type Invariant, type Quiet } from '../record.ts'

interface Limit {
  readonly intensity: number
  readonly periodMs: number
}

/** How long a child may be down before it must be up again or its supervisor gone: its supervisor's period, for waits before restarts, and this. */
const GRACE_MS = 60_000

export class RestartWindows implements Invariant {
  readonly #limits = new Map<string, Limit>()
  readonly #permanent = new Set<string>()
  readonly #windows = new Map<string, readonly number[]>()
  readonly #ends = new Map<string, number>()

  constructor(tree: TreeSpec) {
    this.#read(tree, '')
  }

  #read(spec: TreeSpec, above: string): void {
    const address = `${above}/${spec.id}`
    this.#limits.set(address, { intensity: spec.intensity ?? 1, periodMs: spec.periodMs ?? 5_000 })
    for (const child of spec.children ?? []) {
      if ((child.restart ?? 'permanent') === 'permanent') this.#permanent.add(`${address}/${child.id}`)
      if (!('src' in child)) this.#read(child, address)
    }
  }

  fact(fact: Fact): void {
    const { type, path, runMs, data } = fact
    if (path === null) return
    if (type === 'actor.started') this.#windows.set(path, [])
    else if (type === 'actor.crashed' || type === 'actor.stopped') this.#ends.set(path, runMs)
    else if (type === 'actor.restarted') this.#restarted(fact, path)
    else if (type === 'supervisor.gave_up') this.#gaveUp(fact, path, `${path}/${data['child']}`)
  }

  quiet({ cells, runMs }: Quiet): void {
    for (const row of cells.values()) {
      if (row.status !== 'ended' || row.parent === null || !this.#permanent.has(row.address)) continue
      const above = cells.get(row.parent.address)
      const limit = this.#limits.get(row.parent.address)
      const since = this.#ends.get(row.address)
      if (above?.status !== 'active' || limit === undefined || since === undefined || row.retired === true) continue
      if (runMs - since <= limit.periodMs + GRACE_MS || isStarting(row.parent.address, cells)) continue
      throw new Broken(
        'a permanent child is restarted or its supervisor gives up',
        `${row.address} is down since ${since}, now it is ${runMs}`,
      )
    }
  }

  #restarted({ pos, data }: Fact, path: string): void {
    const above = path.slice(0, path.lastIndexOf('/'))
    const group = data['group']
    if (group !== undefined && group !== null && group !== path.slice(above.length + 1)) return
    const { limit, window } = this.#window(above, path)
    if (limit === undefined) return
    this.#windows.set(above, window)
    const what = `${path} is restarted at ${pos}: ${window.length} within ${limit.periodMs} ms (${window.join(', ')}), ${limit.intensity} are allowed`
    if (window.length > limit.intensity) throw new Broken('a supervisor restarts no more often than its intensity', what)
    if (data['count'] !== window.length) throw new Broken('the count of a restart is what it is', `${what}; on record: ${data['count']}`)
  }

  #gaveUp({ pos }: Fact, path: string, child: string): void {
    const { limit, window } = this.#window(path, child)
    if (limit === undefined || window.length > limit.intensity) return
    const counted = `${window.length} within ${limit.periodMs} ms (${window.join(', ')}), ${limit.intensity} are allowed`
    throw new Broken('a supervisor gives up only when one more would be too many', `${path} gives up at ${pos} over ${child}: ${counted}`)
  }

  /** With the newest end of this child in it. */
  #window(above: string, child: string): { limit: Limit | undefined; window: readonly number[] } {
    const limit = this.#limits.get(above)
    const now = this.#ends.get(child) ?? 0
    const kept = (this.#windows.get(above) ?? []).filter((at) => limit !== undefined && now - at <= limit.periodMs)
    return { limit, window: [...kept, now] }
  }
}

function isStarting(supervisor: string, cells: Quiet['cells']): boolean {
  for (const row of cells.values()) if (row.parent?.address === supervisor && row.status !== 'ended' && !row.ready) return true
  return false
}
