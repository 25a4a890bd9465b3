/**
 * The order of delivery, as a key that is given to an envelope when it is posted and never changes.
 *
 *   order = root . index . op . index . op . index ...      each part of fixed width, compared as text
 *
 * `root` is one event from outside or one timer. An actor that handles an event opens a *frame*; what it sends to an idle actor is handled inside that
 * frame, before the sender's next operation, with everything it causes; what is sent to an actor whose frame is open waits until its operations are done,
 * in the order in which delivery came by the sends. That is how `createActor` delivers. It also keeps order per sender and receiver, which is what is
 * promised (tests/runtime/order.test.ts).
 */
import type { Address } from '../protocol.ts'

const ROOT_WIDTH = 9
const PART_WIDTH = 4

export interface Place {
  readonly order: string
  readonly frames: readonly Address[]
}

const part = (value: number): string => value.toString(36).padStart(PART_WIDTH, '0')

/** A new cascade, for an envelope that nobody in the tree has sent. */
export function rootPlace(seq: number, to: Address): Place {
  return { order: `${seq.toString(36).padStart(ROOT_WIDTH, '0')}.${part(0)}`, frames: [to] }
}

/**
 * Where an envelope goes that is sent by operation `op` of the step that handles `current`. To an actor whose frame is open it only *queues*: it stands at
 * the place of its operation, and gets its index when delivery comes there, behind what the operations before it have caused. See {@link placeQueued}.
 */
export function placeOf(current: Place, op: number, to: Address): Place {
  const here = `${current.order}.${part(op)}`
  return current.frames.includes(to)
    ? { order: here, frames: current.frames }
    : { order: `${here}.${part(0)}`, frames: [...current.frames, to] }
}

/** Does this envelope still queue for its place in an open frame? */
export const isQueued = (order: string): boolean => (order.length - ROOT_WIDTH) % (2 * (PART_WIDTH + 1)) === 0

/**
 * The place of an envelope whose turn to queue up has come: last in the frame of the actor that it is for.
 * @param indices  highest index given out per frame; kept for one cascade.
 * @param pendingMax  highest index among waiting envelopes of a frame, for frames that `indices` does not know (after a crash or a cut turn).
 */
export function placeQueued(queued: Place, to: Address, indices: Map<string, number>, pendingMax: (frame: string) => number): Place {
  const depth = queued.frames.indexOf(to)
  const frame = queued.order.slice(0, frameLength(depth))
  const here = Number.parseInt(queued.order.slice(frame.length + 1, frame.length + 1 + PART_WIDTH), 36)
  const last = Math.max(here, indices.get(frame) ?? pendingMax(frame))
  indices.set(frame, last + 1)
  return { order: `${frame}.${part(last + 1)}`, frames: queued.frames.slice(0, depth + 1) }
}

/** Index of an envelope in the given frame, or -1 where it is not directly in it. */
export function indexIn(frame: string, order: string): number {
  if (order.length !== frame.length + 1 + PART_WIDTH || !order.startsWith(frame)) return -1
  return Number.parseInt(order.slice(frame.length + 1), 36)
}

/** Is this envelope the first of its cascade? */
export const isRoot = (order: string): boolean => order.length === frameLength(0) + 1 + PART_WIDTH && order.endsWith(`.${part(0)}`)

function frameLength(depth: number): number {
  return ROOT_WIDTH + depth * 2 * (PART_WIDTH + 1)
}
