/**
 * What kind of logic an object is. Machines have a class and effects a brand; what `fromPromise`, `fromCallback`, `fromObservable`,
 * `fromEventObservable` and `fromTransition` make carries no tag, so it is told apart by its shape and by how its own reducer behaves:
 *
 *   no `start`                                          transition   nothing of it runs outside of a step
 *   first snapshot has `_subscription`                  observable   of values or of events: both are hosted alike
 *   `xstate.promise.resolve` makes it done              promise
 *   any other                                           callback
 *
 * The user's functions are not called: first snapshots of started logic and its reducers are XState's own code.
 */
import { fromCallback, fromEventObservable, fromObservable, fromPromise, fromTransition } from 'xstate'
import { Defect } from '../../errors.ts'

export type LogicKind = 'transition' | 'promise' | 'callback' | 'observable'

/** The part of XState's logic objects that is called. */
export interface PlainLogic {
  readonly config: unknown
  transition(snapshot: unknown, event: { readonly type: string }, scope: unknown): unknown
  getInitialSnapshot(scope: unknown, input: unknown): unknown
  start?(snapshot: unknown, scope: unknown): void
}

const known = new WeakMap<object, LogicKind>()

/** The kind of a logic object that is neither a machine nor an effect; undefined where it is no such thing, or was made by hand. */
export function kindOf(logic: unknown): LogicKind | undefined {
  if (typeof logic !== 'object' || logic === null) return undefined
  const kind = known.get(logic) ?? tryOut(logic as Partial<PlainLogic>)
  if (kind !== undefined) known.set(logic, kind)
  return kind
}

function tryOut(logic: Partial<PlainLogic>): LogicKind | undefined {
  if (typeof logic.config !== 'function' || typeof logic.transition !== 'function' || typeof logic.getInitialSnapshot !== 'function')
    return undefined
  if (typeof logic.start !== 'function') return 'transition'
  try {
    const first = logic.getInitialSnapshot(SCOPE, undefined) as { readonly status?: unknown }
    if (first.status !== 'active') return undefined
    if ('_subscription' in first) return 'observable'
    return resolves(logic as PlainLogic, first) ? 'promise' : 'callback'
  } catch {
    return undefined
  }
}

/** Nothing of it is live: it has no receivers, no controller and no subscription. */
const SCOPE = { self: {}, system: {}, emit: (): void => {} }

function resolves(logic: PlainLogic, first: unknown): boolean {
  const proof = {}
  try {
    const after = logic.transition(first, { type: 'xstate.promise.resolve', data: proof } as never, SCOPE) as { output?: unknown }
    return after.output === proof
  } catch {
    return false // A callback that was never started has nobody to give the event to.
  }
}

const REFERENCES: readonly (readonly [string, LogicKind, () => unknown])[] = [
  ['fromTransition', 'transition', () => fromTransition((state: number) => state, 0)],
  ['fromPromise', 'promise', () => fromPromise(async () => 0)],
  ['fromCallback', 'callback', () => fromCallback(() => {})],
  ['fromObservable', 'observable', () => fromObservable(() => NEVER)],
  ['fromEventObservable', 'observable', () => fromEventObservable(() => NEVER)],
]
const NEVER = { subscribe: () => ({ unsubscribe: (): void => {} }) } as never

let isProbed = false

/**
 * Checks once that this copy of xstate makes logic that {@link kindOf} tells apart.
 * @throws {Defect} `E_XSTATE_UNSUPPORTED` naming the one that it takes for another.
 */
export function probeKinds(): void {
  if (isProbed) return
  for (const [name, expected, make] of REFERENCES) {
    const seen = kindOf(make())
    if (seen === expected) continue
    throw new Defect(
      'E_XSTATE_UNSUPPORTED',
      `this copy of xstate does not behave as 5.33.3 does (${name} looks like ${seen ?? 'nothing known'})`,
      {
        hint: 'npm install xstate@5.33.3',
      },
    )
  }
  isProbed = true
}
