/** Conformance cases about supervisors of supervisors, and about ends that end the supervisor: significant children. */
import { expect } from 'vitest'
import { CRASH, KILLED, NORMAL, shutdown } from './actors.ts'
import { child, children, fieldOf, ours, sup } from './case.ts'

const LONG = 3_600_000
const CLEAN = [NORMAL, shutdown('ordered'), shutdown('timeout')]
const sub = (more: object, ...specs: object[]) => ({
  id: 'sub',
  periodMs: LONG,
  children: specs.length === 0 ? [child('w')] : specs,
  ...more,
})
const startsOf = (lives: readonly string[], id: string): number => lives.filter((line) => line.startsWith(`started ${id}#`)).length

sup('SUP-53', async ({ set }) => {
  const stage = await set({ intensity: 5, periodMs: LONG, children: [sub({ intensity: 0 }, child('w'), child('v'))] })
  await stage.boom('sub/w')
  expect(stage.lives().slice(4, 9)).toEqual([
    'crashed sub/w#1',
    'gave_up sub w',
    'asked sub/v#1',
    'ended sub/v#1 ordered',
    'ended sub#1 gave_up',
  ])
  expect(
    stage
      .lives()
      .slice(9)
      .map((line) => line.replace(/#\d+/, '')),
  ).toEqual(['started sub', 'started sub/w', 'started sub/v'])
  expect(stage.factsOf('actor.restarted')).toMatchObject([{ path: '/top/team/sub', inc: 2, data: { count: 1 } }])
  expect(await stage.standing('sub')).toEqual({ w: 'running', v: 'running' })
})

sup('SUP-54', async ({ set }) => {
  const stage = await set({ otpExitReasons: true, children: [sub({ intensity: 0, restart: 'transient' })] })
  await stage.boom('sub/w')
  expect(stage.lives().at(-1)).toBe('ended sub#1 gave_up')
  expect([stage.isUp(), await stage.standing(), stage.living()]).toEqual([true, { sub: 'stopped' }, []])
})

ours(
  'a transient supervisor that gave up has not done its work and is restarted, unless otpExitReasons asks for the way of OTP',
  async ({ set }) => {
    const stage = await set({ children: [sub({ intensity: 0, restart: 'transient' })] })
    await stage.boom('sub/w')
    expect(await stage.standing()).toEqual({ sub: 'running' })
    expect(stage.restartsOf('sub')).toBe(1)
  },
)

sup('SUP-55', async ({ set }) => {
  for (const [top, below, starts] of [
    [0, 0, 1],
    [1, 1, 4],
    [2, 3, 12],
    [3, 3, 16],
  ] as const) {
    const stage = await set({ intensity: top, periodMs: LONG, children: [sub({ intensity: below })] }, { w: { start: 'crash' } })
    expect([top, below, startsOf(stage.lives(), 'sub/w')]).toEqual([top, below, starts])
    expect(stage.reasonOf()).toMatchObject({ kind: 'shutdown', detail: 'gave_up' })
  }
})

sup('SUP-56', async ({ set }) => {
  const stage = await set({ intensity: 5, periodMs: LONG, children: [sub({ intensity: 1 }, child('s'))] })
  await stage.ask({ type: 'child.start', spec: child('extra') }, 'sub')
  expect(await stage.standing('sub')).toEqual({ s: 'running', extra: 'running' })
  await stage.boom('sub/s')
  await stage.boom('sub/s')
  expect(stage.restartsOf('sub')).toBe(1)
  expect(await stage.standing('sub')).toEqual({ s: 'running' })
  expect(stage.living().map((life) => life.replace(/#\d+/, ''))).toEqual(['sub', 'sub/s'])
  await stage.boom('sub/s') // One is allowed again.
  expect([stage.restartsOf('sub'), await stage.standing('sub')]).toEqual([1, { s: 'running' }])
  const pool = await set({ intensity: 5, periodMs: LONG, children: [{ id: 'sub', intensity: 0, dynamic: { src: 'worker' } }] })
  await pool.ask({ type: 'child.start' }, 'sub')
  await pool.ask({ type: 'child.start' }, 'sub')
  await pool.boom('sub/worker-1')
  expect([await pool.standing('sub'), pool.living()]).toEqual([{}, ['sub#2']])
})

sup('SUP-57', async ({ set }) => {
  const stage = await set({
    children: [
      { id: 'sub1', children: [child('w')] },
      { id: 'sub2', children: [child('w')] },
    ],
  })
  await stage.send('sub2/w', { type: 'note', n: 7 })
  await stage.boom('sub1/w')
  expect(stage.living()).toEqual(['sub1#1', 'sub1/w#2', 'sub2#1', 'sub2/w#1'])
  expect(stage.heard('sub2/w')).toEqual([7])
})

sup('SUP-72', async ({ set }) => {
  expect(await fieldOf(set({ children: [child('a', { significant: true, restart: 'transient' })] }))).toBe('significant')
  expect(await fieldOf(set({ autoShutdown: 'any_significant', children: [child('a', { significant: true })] }))).toBe('significant')
  const never = await set({ children: children('b') })
  const spec = child('x', { significant: true, restart: 'transient' })
  expect(await never.ask({ type: 'child.start', spec })).toMatchObject({ why: 'invalid', cause: { field: 'significant' } })
  const any = await set({ autoShutdown: 'any_significant', children: children('b') })
  expect(await any.ask({ type: 'child.start', spec: child('x', { significant: true }) })).toMatchObject({
    why: 'invalid',
    cause: { field: 'significant' },
  })
})

const significantPair = (restart: string) => [
  child('s1', { restart, significant: true }),
  child('s2', { restart, significant: true }),
  child('n', { restart }),
]

sup('SUP-73', async ({ set }) => {
  for (const [restart, reason, ends] of [
    ...CLEAN.map((reason) => ['transient', reason, true] as const),
    ...[CRASH, KILLED].map((reason) => ['transient', reason, false] as const),
    ...[...CLEAN, CRASH, KILLED].map((reason) => ['temporary', reason, true] as const),
  ]) {
    const stage = await set({ autoShutdown: 'any_significant', children: significantPair(restart) })
    await stage.exit('s1', reason)
    expect([restart, reason, stage.isUp()]).toEqual([restart, reason, !ends])
    if (ends) {
      expect(stage.lives().slice(-5)).toEqual([
        'asked n#1',
        'ended n#1 ordered',
        'asked s2#1',
        'ended s2#1 ordered',
        expect.stringMatching(/^ended team#1/),
      ])
      expect(stage.reasonOf()).toMatchObject({ kind: 'shutdown' })
    } else expect(stage.living()).toEqual(['n#1', 's1#2', 's2#1'])
  }
})

sup('SUP-74', async ({ set }) => {
  const team = { autoShutdown: 'all_significant', children: [child('m'), ...significantPair('transient')] }
  const stage = await set(team)
  await stage.finish('s1')
  expect(stage.isUp()).toBe(true)
  await stage.finish('s2')
  expect(stage.lives().slice(-5)).toEqual(['asked n#1', 'ended n#1 ordered', 'asked m#1', 'ended m#1 ordered', 'ended team#1 completed'])
  const byHand = await set(team)
  await byHand.ask({ type: 'child.stop', id: 's1' })
  expect(byHand.isUp()).toBe(true)
  await byHand.finish('s2')
  expect(byHand.lives().at(-1)).toBe('ended team#1 completed')
})

sup('SUP-75', async ({ set }) => {
  const stage = await set({ autoShutdown: 'any_significant', children: significantPair('transient') })
  expect(await stage.ask({ type: 'child.stop', id: 's1' })).toEqual({ type: 'child.stopped', id: 's1' })
  expect(stage.isUp()).toBe(true)
  for (const strategy of ['one_for_all', 'rest_for_one'])
    for (const restart of ['transient', 'temporary']) {
      const bystander = child('s', { restart, significant: true })
      const group = await set({ strategy, autoShutdown: 'any_significant', children: [child('a'), bystander, child('b')] })
      await group.boom('a')
      expect([strategy, restart, group.isUp()]).toEqual([strategy, restart, true])
      expect(group.living()).toEqual(restart === 'transient' ? ['a#2', 'b#2', 's#2'] : ['a#2', 'b#2'])
    }
})

sup('SUP-76', async ({ set }) => {
  const below = (more: object) => ({ id: 'sub', restart: 'transient', autoShutdown: 'any_significant', intensity: 0, ...more })
  const c = child('c', { restart: 'transient', significant: true })
  for (const significant of [true, false]) {
    const stage = await set({ autoShutdown: 'any_significant', children: [{ ...below({ significant }), children: [c] }, child('x')] })
    await stage.finish('sub/c')
    expect(stage.lives()).toContain('ended sub#1 completed')
    expect([significant, stage.isUp()]).toEqual([significant, !significant])
    if (significant) expect(stage.lives().slice(-3)).toEqual(['asked x#1', 'ended x#1 ordered', 'ended team#1 completed'])
  }
  for (const restart of ['transient', 'temporary']) {
    const team = { otpExitReasons: true, autoShutdown: 'any_significant' }
    const stage = await set({ ...team, children: [{ ...below({ significant: true, restart }), children: [child('w')] }, child('x')] })
    await stage.boom('sub/w')
    expect([restart, stage.isUp()]).toEqual([restart, false])
    expect(stage.lives()).toContain('ended sub#1 gave_up')
  }
})

sup('SUP-77', async ({ set }) => {
  const ends = ['transient', 'temporary'].flatMap((restart) => [...CLEAN, CRASH, KILLED].map((reason) => ({ restart, reason })))
  for (const autoShutdown of ['never', 'any_significant', 'all_significant']) {
    const specs = ends.map(({ restart }, index) => child(`n${index}`, { restart }))
    const stage = await set({ autoShutdown, intensity: ends.length, children: [...specs, child('b')] })
    for (const [index, { reason }] of ends.entries()) {
      await stage.exit(`n${index}`, reason)
      expect([autoShutdown, ends[index], stage.isUp()]).toEqual([autoShutdown, ends[index], true])
    }
    expect(stage.living()).toEqual(['b#1', 'n3#2', 'n4#2'])
  }
})
