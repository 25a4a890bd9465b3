/** A supervisor that crashes and is not restarted takes its children along at once: they do not work on while its siblings are stopped. */
import { expect, test } from 'vitest'
import type { TreeSpec } from '../../src/protocol.ts'
import { step } from '../../src/runtime/step.ts'
import type { Planted } from '../../src/testing/process.ts'
import { simulatePlanted } from '../../src/testing/simulate.ts'
import { handlers, worker } from './worker.ts'

/** `/root/inner` crashes when it is asked for its list. */
const crashing: Planted = {
  host: (host) => ({
    ...host,
    step: (input) =>
      input.address === '/root/inner' && input.envelope.event.type === 'child.list'
        ? step(() => {
            throw new Error('planted')
          }, input)
        : host.step(input),
  }),
}

test('children of a supervisor that crashed and is not restarted end with the decision, not with the last of its siblings', async () => {
  const tree: TreeSpec = {
    id: 'root',
    intensity: 0,
    children: [
      { id: 'inner', children: [{ id: 'w', src: 'worker' }] },
      { id: 'deaf', src: 'worker', input: { manner: 'deaf' }, shutdownMs: 10_000 },
    ],
  }
  const events = [{ to: '/root/inner', event: { type: 'child.list' }, afterMs: 10 }]
  const report = await simulatePlanted(tree, { seed: 1, machines: { worker }, effects: handlers(), events, ends: 'itself' }, crashing)
  const lines = report.journal.split('\n')
  const at = (text: string): number => lines.findIndex((line) => line.includes(text))
  expect(at('supervisor.gave_up /root#1')).toBeGreaterThan(0)
  expect(at('actor.stopped /root/inner/w#1')).toBeGreaterThan(0)
  expect(at('actor.stopped /root/inner/w#1')).toBeLessThan(at('actor.stopped /root/deaf#1'))
})
