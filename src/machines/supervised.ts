/**
 * What a supervisor knows of its children: the shape of its context, and questions about it. Plain JSON, so that it comes back from the store as it was.
 *
 *   waiting -> starting -> running -> restarting -> running      asked to start, started, asked to start again
 *   running -> delayed -> restarting                             waits for its restart, by the backoff
 *   running -> down -> restarting | stopped                      exited while others were to be started: decided when they have
 *   running -> waiting -> restarting                             taken along by the restart of a group
 *   starting | running | restarting -> stopping -> stopped       asked to stop
 *   starting | running | restarting -> stopped                   failed at the first start, declined, or ended without a restart
 */
import type { AnyActorRef } from 'xstate'
import type { Json } from '../json.ts'
import type { ChildRequest, ExitReason, Incarnation, ReservedAction, SHUTDOWN_EVENT, SupervisorEvent } from '../protocol.ts'
import type { Child, SupervisorFlags } from './childspec.ts'
import { type Admission, admit, type RestartWindow } from './intensity.ts'

/** `down`: it has exited while others were starting, and what follows is not decided yet. `stopped`: no cell, until somebody starts it by hand. */
type ChildStatus = 'waiting' | 'starting' | 'running' | 'down' | 'delayed' | 'restarting' | 'stopping' | 'stopped'

/** Who has asked for what by hand, and waits for the answer. */
export interface Asked {
  readonly kind: 'start' | 'restart' | 'stop'
  readonly replyTo: AnyActorRef | null
}

/** A restart that is decided: why, the how-manieth within the period, and how long it waits. */
export interface Decided {
  readonly reason: ExitReason
  readonly count: number
  readonly backoffMs: number
}

/** One child: its spec, and what is known of its cell. */
export interface SupervisedChild {
  readonly spec: Child
  readonly status: ChildStatus
  /** The latest life that was reported; 0 before the first. */
  readonly incarnation: Incarnation
  /** While it is `delayed`. */
  readonly decided?: Decided | undefined
  readonly asked?: Asked | undefined
}

/** A restart of several children: who failed, and who belongs to it. */
export interface Group extends Decided {
  readonly trigger: string
  readonly members: readonly string[]
}

export interface SupervisorContext {
  readonly flags: SupervisorFlags
  /** Of the tree; for children without one of their own. */
  readonly input?: Json | undefined
  /** In start order. A temporary child leaves the list when it ends. */
  readonly children: readonly SupervisedChild[]
  readonly window: RestartWindow
  /** Exits to decide on and requests to serve when all children have started. */
  readonly deferred: readonly (CellExited | Request)[]
  /** The restart of a group that is under way. */
  readonly group: Group | null
  /** Why it ends, from the moment that this is decided. */
  readonly exit: ExitReason | null
}

/** Input of the machine. A spec that breaks a rule crashes the first step with `E_TREE_INVALID`; no child was started. */
export interface SupervisorInput {
  readonly spec: unknown
  readonly input?: Json | undefined
}

/** Emitted once, when the restart limit is passed. `count` restarts were asked for within `periodMs`, `max` are allowed; `last` is the exit that was one too many. */
export interface GaveUp {
  readonly type: 'supervisor.gave_up'
  readonly count: number
  readonly max: number
  readonly periodMs: number
  readonly child: string
  readonly last: ExitReason
}

/** The end of a child that had started. */
export type CellExited = Extract<SupervisorEvent, { type: 'cell.exited' }>
/** What tells of an end, and why. */
export type Ended = Extract<SupervisorEvent, { reason: ExitReason }>
/** Something to be done by hand. Without `replyTo` nobody waits for an answer. */
export type Request = ChildRequest & { readonly replyTo?: AnyActorRef }
/** What the supervisor has asked its own timers for. */
export type Alarm = { readonly type: 'cell.restart_due' | 'cell.start_expired'; readonly id: string }
/** Everything that a supervisor takes. */
export type SupervisorInbox = SupervisorEvent | Request | Alarm | { readonly type: typeof SHUTDOWN_EVENT }

/** What a decision leads to: the context that changes, and orders in their order. Made by pure functions, carried out by the statechart's actions. */
export interface Plan<Context = SupervisorContext> {
  readonly change: Partial<Context>
  readonly orders: readonly Order[]
}
export type Order =
  | Extract<ReservedAction, { type: `cell.${string}` }>
  | { readonly type: 'reply'; readonly to: AnyActorRef | null; readonly event: { readonly type: string } }
  | { readonly type: 'later'; readonly event: Alarm; readonly delayMs: number; readonly timer: string }
  | { readonly type: 'cancel'; readonly timer: string }

/** Has it a cell that is to be stopped when the supervisor ends? */
export const isAlive = ({ status }: SupervisedChild): boolean => status === 'starting' || status === 'running' || status === 'restarting'
/** Is the answer to its start still to come? */
export const isAwaited = ({ status }: SupervisedChild): boolean => status === 'starting' || status === 'restarting'

/** The child that an event is about; undefined for one that was never here or has left. */
export function childOf(context: SupervisorContext, event: SupervisorInbox): SupervisedChild | undefined {
  return 'id' in event ? context.children.find((child) => child.spec.id === event.id) : undefined
}

/** Is the event about the life that the child is in, or about the one that was asked for? All others are late and change nothing. */
export function isOfThisLife(child: SupervisedChild, event: SupervisorInbox): boolean {
  if (!('incarnation' in event)) return false
  if (isAwaited(child)) return event.incarnation > child.incarnation
  if (child.status === 'stopping') return event.incarnation >= child.incarnation
  return (child.status === 'running' || child.status === 'down') && event.type === 'cell.exited' && event.incarnation === child.incarnation
}

/** The list with one child changed. */
export function withChild(context: SupervisorContext, id: string, change: Partial<SupervisedChild>): Pick<SupervisorContext, 'children'> {
  return { children: context.children.map((child) => (child.spec.id === id ? { ...child, ...change } : child)) }
}

/** May there be one more restart, after this end? Pure: keep the window that it returns. */
export function admission(context: SupervisorContext, event: Ended): Admission {
  return admit(context.window, { now: event.now, intensity: context.flags.intensity, periodMs: context.flags.periodMs })
}

/** Does somebody belong to the group that is being restarted? */
export const isMember = ({ group }: SupervisorContext, child: SupervisedChild): boolean => group?.members.includes(child.spec.id) === true

/** An exit reason in a few words, for messages. */
export function causeOf(reason: ExitReason): string {
  if (reason.kind === 'error') return `${reason.error.code}: ${reason.error.message}`
  return reason.kind === 'shutdown' ? `shutdown, ${reason.detail}` : reason.kind
}
