/**
 * The circuit breaker of a provider gate, one of its regions.
 *
 *   closed --failures in a row--> open --openMs, and somebody wants in--> half_open: waiting --one is let in--> probing
 *     ^                            ^                                        ^                              |  |  |
 *     |                            +--------------------- it fails --------|------------------------------+  |  |
 *     |                                                                    +---- it ends without a word ------+  |
 *     +---------------------------------------------------- it is answered --------------------------------------+
 *
 * A failure is that the provider was not reached or did not answer in time. A refusal is an answer: it ends a row of failures. Of calls that were in flight
 * when it opened nothing is believed any more: only the probe closes it.
 */
import { gate } from './gate-setup.ts'

/** Its time is over: it is tried when somebody wants in. */
const over = { guard: 'isOver' as const, target: 'half_open' as const }

export const breaker = gate.createStateConfig({
  initial: 'closed',
  states: {
    closed: {
      on: {
        failed: [
          { guard: 'isLastStraw', target: 'open', actions: 'open' },
          { guard: 'isUnreached', actions: 'count' },
          { guard: 'isAnswer', actions: 'forget' },
        ],
        succeeded: { actions: 'forget' },
      },
    },
    open: { on: { request: over, tick: over, left: over } },
    half_open: {
      initial: 'waiting',
      states: {
        waiting: { on: { probing: 'probing' } },
        probing: {
          on: {
            failed: [
              { guard: 'isProbeUnreached', target: '#breaker.open', actions: 'open' },
              { guard: 'isProbeAnswer', target: '#breaker.closed', actions: 'comeBack' },
            ],
            succeeded: { guard: 'isProbe', target: '#breaker.closed', actions: 'comeBack' },
            left: { guard: 'isProbe', target: 'waiting', actions: 'giveUpProbe' },
          },
        },
      },
    },
  },
  id: 'breaker',
})
