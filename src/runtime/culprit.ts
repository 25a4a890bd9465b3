/**
 * Which of a machine's functions threw in a step. XState passes most errors on as they are, so the stack is read: its own frames say what it was about.
 *
 *   Error: boom
 *       at count (machine.ts)          <- the function's name, where it has one
 *       at resolveAssign (xstate)      <- what it is to the machine
 */
const FRAMES: Readonly<Record<string, string>> = {
  evaluateGuard: 'guard',
  resolveAssign: 'assign',
  resolveRaise: 'raise',
  resolveSendTo: 'sendTo',
  resolveSpawn: 'input',
  resolveOutput: 'output',
  resolveEnqueueActions: 'enqueueActions',
  resolveEmit: 'emit',
  resolveLog: 'log',
  resolveCancel: 'cancel',
  resolveStop: 'stopChild',
  resolveAndExecuteActionsWithContext: 'params',
}
const GUARD = /^Unable to evaluate guard (?:'([^']*)' )?in transition/
/** `at name (place)`, `at Object.name [as other] (place)`, or `at place` of a function without a name. */
const FRAME = /^\s*at (?:(?:async |new )?([\w$#<>.]+) (?:\[.*\] )?\()?/
/** V8 makes up longer names from where a function stands: they say nothing. */
const nameOf = (name = ''): string => (name.split('.').length > 2 ? '' : name.slice(name.lastIndexOf('.') + 1))

/**
 * `guard isReady`, `assign count`, `delay`, `input`, `output`; undefined where it cannot be told, as for what is thrown without being an `Error`.
 * @param delays  names of the machine's delays: they are called from where the event is sent.
 */
export function culpritOf(thrown: unknown, delays: readonly string[]): string | undefined {
  if (!(thrown instanceof Error)) return undefined
  const guard = GUARD.exec(thrown.message)
  if (guard !== null) return named('guard', guard[1])
  const frames = (thrown.stack ?? '')
    .slice(thrown.message.length)
    .split('\n')
    .flatMap((line) => {
      const frame = FRAME.exec(line)
      return frame === null ? [] : [nameOf(frame[1])]
    })
  const at = frames.findIndex((frame) => FRAMES[frame] !== undefined)
  if (at < 1) return undefined // XState itself has found the fault, and its message names it.
  const caller = frames[at - 1]!
  if (caller === 'assignment') return 'context'
  if (caller === 'createActor') return undefined // The child's name was taken.
  const what = FRAMES[frames[at]!]!
  const isDelay = (what === 'raise' || what === 'sendTo') && (caller === 'delay' || delays.includes(caller))
  return named(isDelay ? 'delay' : what, caller)
}

const named = (what: string, name: string | undefined): string =>
  name === undefined || name === '' || name === what || name === '<anonymous>' ? what : `${what} ${name}`
