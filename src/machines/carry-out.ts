/** Carries out what a supervisor has decided: the context first, then the orders in their order. Both supervisors do it here, and in the same way. */
import type { AnyActorRef } from 'xstate'
import type { Alarm, Order, Plan } from './supervised.ts'

/** What of XState's `enqueue` a decision needs. Its own type names the actions and events of one machine. */
interface Enqueue<Context> {
  (action: Extract<Order, { type: `cell.${string}` }>): void
  assign(change: Partial<Context>): void
  cancel(timer: string): void
  raise(event: Alarm, options: { readonly delay: number; readonly id: string }): void
  sendTo(to: AnyActorRef, event: { readonly type: string }): void
}

/** @param enqueue  XState's, of the machine whose decision it is. */
export function carryOut<Context>(enqueue: unknown, { change, orders }: Plan<Context>): void {
  const to = enqueue as Enqueue<Context>
  if (Object.keys(change).length > 0) to.assign(change)
  for (const order of orders) give(to, order)
}

function give<Context>(enqueue: Enqueue<Context>, order: Order): void {
  if (order.type === 'cancel') enqueue.cancel(order.timer)
  else if (order.type === 'later') enqueue.raise(order.event, { delay: order.delayMs, id: order.timer })
  else if (order.type !== 'reply') enqueue(order)
  // What came as `replyTo` may be anything: only an actor can be answered.
  else if (typeof (order.to as { send?: unknown } | null)?.send === 'function') enqueue.sendTo(order.to!, order.event)
}
