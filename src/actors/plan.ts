/** A tree looked at before it is started: is it valid, and how often may each actor be started at most? */
import { checkTree, isDynamic, worstStarts } from '../machines/childspec.ts'
import type { ChildSpec, SupervisorSpec, TreeSpec } from '../protocol.ts'

/** One actor of a plan. `starts` is the worst case if it crashes at each start, null for supervisors. */
export interface PlannedActor {
  readonly path: string
  readonly depth: number
  readonly words: string
  readonly starts: number | null
}

export interface TreePlan {
  readonly actors: readonly PlannedActor[]
  /** The most that any one actor may be started. */
  readonly worstStarts: number
}

/**
 * Checks a tree and tells the worst case of its restarts: for each actor the product of intensity + 1 over the supervisors above it, all of them within
 * their periods. @throws {Defect} `E_TREE_INVALID`, `E_NOT_JSON`.
 */
export function planTree(tree: TreeSpec): TreePlan {
  checkTree(tree)
  const starts = new Map(worstStarts(tree).map((worst) => [worst.path, worst.starts]))
  const actors = [...walk(tree, '', 0)].map((actor) => ({ ...actor, starts: starts.get(actor.path) ?? null }))
  return { actors, worstStarts: Math.max(0, ...starts.values()) }
}

function* walk(spec: SupervisorSpec | ChildSpec, above: string, depth: number): Generator<Omit<PlannedActor, 'starts'>> {
  const path = `${above}/${spec.id}`
  if ('src' in spec) {
    yield {
      path,
      depth,
      words: `${spec.src}, ${spec.restart ?? 'permanent'}, from ${spec.from ?? 'initial'}${spec.significant === true ? ', significant' : ''}`,
    }
    return
  }
  const limit = `at most ${spec.intensity ?? 1} restarts in ${spec.periodMs ?? 5000} ms`
  const waits = spec.backoff === undefined ? '' : `, waits from ${spec.backoff.baseMs} ms on`
  yield { path, depth, words: `${isDynamic(spec) ? 'dynamic' : (spec.strategy ?? 'one_for_one')}, ${limit}${waits}` }
  if (isDynamic(spec)) yield { path: `${path}/*`, depth: depth + 1, words: `${spec.dynamic.src}, ${spec.dynamic.restart ?? 'permanent'}` }
  else for (const child of spec.children) yield* walk(child, path, depth + 1)
}
