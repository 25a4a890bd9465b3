/** Mail that waits for an actor to start is handled when it has: behind all that its first step has sent, in the order in which it came. */
import { expect, test } from 'vitest'
import { assign, sendParent, sendTo, setup } from 'xstate'
import { openLife, temporaryFolder, VirtualClock } from '../harness.ts'

interface Heard {
  readonly heard: readonly string[]
}
const hear = ({ context, event }: { context: Heard; event: { type: string } }): readonly string[] => [...context.heard, event.type]
const listener = setup({ types: { context: {} as Heard, events: {} as { type: string } } }).createMachine({
  id: 'listener',
  context: { heard: [] },
  on: { '*': { actions: assign({ heard: hear }) } },
})

const kid = setup({ types: { events: {} as { type: 'ask' | 'more' } } }).createMachine({
  id: 'kid',
  entry: sendParent({ type: 'hello' }),
  on: { ask: { actions: sendParent({ type: 'answer' }) }, more: { actions: sendParent({ type: 'another' }) } },
})
/** Asks its child by entry actions, which come before the invoke itself. */
const parent = setup({ types: { context: {} as Heard, events: {} as { type: string } }, actors: { kid } }).createMachine({
  id: 'parent',
  context: { heard: [] },
  initial: 'resting',
  on: { '*': { actions: assign({ heard: hear }) } },
  states: {
    resting: { on: { go: 'asking' } },
    asking: {
      entry: [sendTo('kid', { type: 'ask' }), sendTo('kid', { type: 'more' })],
      invoke: { src: 'kid', id: 'kid' },
      on: { go: { target: 'asking', reenter: true } },
    },
  },
})

const ask = (_: unknown, _params: { id: string; to: string; event: { type: string }; timeoutMs: number }): void => {}
const tell = (type: string) => ({ type: 'ask', params: { id: type, to: '/top/two', event: { type }, timeoutMs: 1_000 } }) as const
/** Tells another that it is there; on `burst` it sends itself what crashes it, and then what it is to tell next. */
const crasher = setup({ types: { events: {} as { type: 'burst' | 'boom' | 'work' } }, actions: { ask } }).createMachine({
  id: 'crasher',
  entry: tell('hello'),
  on: {
    burst: { actions: [sendTo(({ self }) => self, { type: 'boom' }), sendTo(({ self }) => self, { type: 'work' })] },
    boom: {
      actions: assign(() => {
        throw new Error('boom')
      }),
    },
    work: { actions: tell('worked') },
  },
})

test.each(
  [
    {
      who: 'a child that is invoked',
      one: parent,
      target: '/top/one',
      events: ['go', 'go'],
      heardBy: '/top/one',
      each: ['hello', 'answer', 'another'],
    },
    {
      who: 'an actor that is restarted',
      one: crasher,
      target: '/top/one',
      events: ['burst'],
      heardBy: '/top/two',
      each: ['hello', 'hello', 'worked'],
    },
  ].flatMap((row) => [1, 256].map((turnStepsMax) => ({ ...row, turnStepsMax }))),
)(
  '$who tells what its first step says before what waiting mail makes it say ($turnStepsMax steps a commit)',
  async ({ one, target, events, heardBy, each, turnStepsMax }) => {
    const folder = temporaryFolder()
    const machines = { one, listener }
    const clock = new VirtualClock()
    const life = openLife(folder, { machines, clock, turnStepsMax })
    const children = [
      { id: 'two', src: 'listener' },
      { id: 'one', src: 'one' },
    ]
    const session = await life.troupe.start({ id: 'top', intensity: 5, children })
    await clock.settled()
    for (const type of events) {
      await session.send(target, { type })
      await clock.settled()
    }
    await life.kill(session)
    const later = new VirtualClock(clock.wallMs())
    const again = await openLife(folder, { machines, clock: later, turnStepsMax }).troupe.resume(session.id)
    await later.settled()
    expect(again.snapshot(heardBy)?.context).toEqual({ heard: heardBy === target ? events.flatMap(() => each) : each })
  },
)
