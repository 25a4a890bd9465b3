/**
 * Restart limits, counted once more from the journal and the tree's own literal: what the supervisor says of its count is not believed.
 *
 *   an end of a child (actor.crashed, actor.stopped)   its time on the run clock
 *   actor.restarted                                    shows that the end of this child, or of the one whose group it belongs to, was answered by a restart:
 *                                                      one more in the window of its supervisor, at most `intensity` within `periodMs`
 *   supervisor.gave_up                                 only where the next one would have been one too many
 *
 * A supervisor that starts anew has an empty window. One that waits before restarts may have decided more than the journal shows yet: of it only the limit is
 * checked, not the exact count.
 */
import type { TreeSpec } from '../../protocol.ts'
import { Broken, type Fact, type Invariant, type Quiet } from '../record.ts'

interface Limit {
  readonly intensity: number
  readonly periodMs: number
  /** No waits before restarts: each decision is in the journal at once. */
  readonly isExact: boolean
}

/** When a child ended, and which entry says so. */
interface End {
  readonly runMs: number
  readonly pos: number
}

/** How long a child may be down before it must be up again or its supervisor gone: its supervisor's period, for waits before restarts, and this. */
const GRACE_MS = 60_000

export class RestartWindows implements Invariant {
  readonly #limits = new Map<string, Limit>()
  readonly #permanent = new Set<string>()
  readonly #windows = new Map<string, readonly End[]>()
  /** The group that each supervisor restarts, or has restarted last: why, and who by now. */
  readonly #groups = new Map<string, { readonly name: string; readonly paths: Set<string> }>()
  readonly #ends = new Map<string, End>()

  constructor(tree: TreeSpec) {
    this.#read(tree, '')
  }

  #read(spec: TreeSpec, above: string): void {
    const address = `${above}/${spec.id}`
    this.#limits.set(address, { intensity: spec.intensity ?? 1, periodMs: spec.periodMs ?? 5_000, isExact: spec.backoff === undefined })
    for (const child of spec.children ?? []) {
      if ((child.restart ?? 'permanent') === 'permanent') this.#permanent.add(`${address}/${child.id}`)
      if (!('src' in child)) this.#read(child, address)
    }
  }

  fact(fact: Fact): void {
    const { type, path, runMs, data } = fact
    if (path === null) return
    if (type === 'actor.started') this.#windows.set(path, [])
    else if (type === 'actor.crashed' || type === 'actor.stopped') this.#ends.set(path, { runMs, pos: fact.pos })
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
      if (runMs - since.runMs <= limit.periodMs + GRACE_MS || isStarting(row.parent.address, cells)) continue
      throw new Broken(
        'a permanent child is restarted or its supervisor gives up',
        `${row.address} is down since ${since.runMs}, now it is ${runMs}`,
      )
    }
  }

  #restarted({ pos, data }: Fact, path: string): void {
    const above = path.slice(0, path.lastIndexOf('/'))
    const trigger = typeof data['group'] === 'string' ? `${above}/${data['group']}` : path
    const { limit, window } = this.#window(above, trigger)
    if (limit === undefined || this.#isCounted(above, path, data)) return
    this.#windows.set(above, window)
    const what = `${path} is restarted at ${pos}: ${shown(window, limit)}`
    if (window.length > limit.intensity) throw new Broken('a supervisor restarts no more often than its intensity', what)
    if (limit.isExact && data['count'] !== window.length)
      throw new Broken('the count of a restart is what it is', `${what}; on record: ${data['count']}`)
  }

  /** Members of one group are restarted one after another for one failure; meanwhile the one that failed may have failed again. */
  #isCounted(above: string, path: string, { group: trigger, count }: Fact['data']): boolean {
    if (typeof trigger !== 'string') return false
    const name = `${trigger} ${count}`
    const group = this.#groups.get(above)
    if (group?.name === name && !group.paths.has(path)) {
      group.paths.add(path)
      return true
    }
    this.#groups.set(above, { name, paths: new Set([path]) })
    return false
  }

  #gaveUp({ pos }: Fact, path: string, child: string): void {
    const { limit, window } = this.#window(path, child)
    if (limit === undefined || !limit.isExact || window.length > limit.intensity) return
    throw new Broken(
      'a supervisor gives up only when one more would be too many',
      `${path} gives up at ${pos} over ${child}: ${shown(window, limit)}`,
    )
  }

  /** With the newest end of this child in it, once. */
  #window(above: string, child: string): { limit: Limit | undefined; window: readonly End[] } {
    const limit = this.#limits.get(above)
    const end = this.#ends.get(child) ?? { runMs: 0, pos: 0 }
    const others = (this.#windows.get(above) ?? []).filter(({ pos }) => pos !== end.pos)
    const kept = others.filter(({ runMs }) => limit !== undefined && end.runMs - runMs <= limit.periodMs)
    return { limit, window: [...kept, end] }
  }
}

const shown = (window: readonly End[], { periodMs, intensity }: Limit): string =>
  `${window.length} within ${periodMs} ms (${window.map(({ runMs }) => runMs).join(', ')}), ${intensity} are allowed`

function isStarting(supervisor: string, cells: Quiet['cells']): boolean {
  for (const row of cells.values()) if (row.parent?.address === supervisor && row.status !== 'ended' && !row.ready) return true
  return false
}
