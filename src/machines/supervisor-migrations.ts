/** Takes supervisors of stored runs over to today's statechart, by the version that they were stored with. */
import type { Json } from '../json.ts'
import type { SupervisedChild, SupervisorContext } from './supervised.ts'

interface Stored {
  readonly value: Json
  // biome-ignore lint/suspicious/noExplicitAny: the context of an older version.
  readonly context: any
}

/** Version 1 (release 0.1) knew one_for_one alone: no groups, no backoff, no start timeouts. */
function fromOne({ value, context }: Stored): { value: Json; context: SupervisorContext } {
  const flags = { backoff: null, otpExitReasons: false, reviveFinished: false, ...context.flags }
  const children = context.children.map((child: SupervisedChild) => ({ ...child, spec: { ...child.spec, startTimeoutMs: null } }))
  return { value: value === 'running' ? { running: 'steady' } : value, context: { ...context, flags, children, group: null } }
}

/** By version, each to the next. */
export const supervisorMigrations = { '1': fromOne } as const
