/** The run clock never falls, whatever the wall clock does and however often the process dies. */
import { array, assert, constantFrom, integer, property, record } from 'fast-check'
import { expect, test } from 'vitest'
import { type ClockStand, RunClock } from '../../src/runtime/clock.ts'
import { VirtualClock } from '../harness.ts'

test('a new run starts at 0 and follows the monotonic clock, wherever the wall clock jumps', async () => {
  const machine = new VirtualClock(1_000_000)
  const clock = new RunClock(machine, null)
  const seen = [clock.now()]
  await machine.advance(250)
  seen.push(clock.now())
  machine.jumpWall(-3_600_000)
  seen.push(clock.now())
  machine.jumpWall(7_200_000)
  await machine.advance(5)
  seen.push(clock.now())
  expect({ seen, stand: clock.stand() }).toEqual({ seen: [0, 250, 250, 255], stand: { runMs: 255, wallMs: 1_000_000 + 255 + 3_600_000 } })
})

test.each([
  ['ten seconds later', 10_000, 15_000],
  ['at the same instant', 0, 5_000],
  ['with the wall clock set back by an hour', -3_600_000, 5_000],
])('a run that is resumed %s goes on by what the wall clock says, and never backwards', (_, downMs, expected) => {
  const last: ClockStand = { runMs: 5_000, wallMs: 1_000_000 }
  expect(new RunClock(new VirtualClock(1_000_000 + downMs), last).now()).toBe(expected)
})

test('the run clock shows whole milliseconds', async () => {
  const machine = new VirtualClock()
  const clock = new RunClock(machine, { runMs: 7, wallMs: machine.wallMs() })
  await machine.advance(0.75)
  expect(clock.now()).toBe(7)
})

test('through any sequence of waiting, jumps of the wall clock and deaths the run clock does not fall', () => {
  const event = record({ what: constantFrom('wait', 'jump', 'die'), ms: integer({ min: -100_000, max: 100_000 }) })
  assert(
    property(array(event, { maxLength: 30 }), (events) => {
      let wall = 1_000_000
      let monotonic = 0
      const machine = { ...new VirtualClock(), wallMs: () => wall, monotonicMs: () => monotonic } as VirtualClock
      let clock = new RunClock(machine, null)
      let last = 0
      for (const { what, ms } of events) {
        if (what === 'jump') wall += ms
        else if (what === 'wait') {
          monotonic += Math.abs(ms)
          wall += Math.abs(ms)
        } else {
          const stand = clock.stand()
          monotonic = 0 // Another process, perhaps another boot.
          wall += ms
          clock = new RunClock(machine, stand)
        }
        expect({ what, ms, fell: clock.now() < last }).toEqual({ what, ms, fell: false })
        last = clock.now()
      }
    }),
  )
})
