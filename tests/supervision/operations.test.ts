/** Conformance cases about what is asked of a supervisor by hand: start, stop, restart, delete, read, count. */
import { expect, test } from 'vitest'
import { child, children, ours, sup } from './case.ts'
import { Stage } from './stage.ts'

const why = async (stage: Stage, type: string, more: object): Promise<string> => {
  const reply = await stage.ask({ type, ...more })
  return reply?.type === 'child.refused' ? reply.why : String(reply?.type)
}
/** Restarts that fail again and again, a second apart, below the limit. */
const LOOP = { intensity: 100, periodMs: 3_600_000, backoff: { baseMs: 1_000, factor: 1, jitter: 0 } }

sup('SUP-58', async ({ set }) => {
  const stage = await set({ children: children('a') })
  const reply = await stage.ask({ type: 'child.start', spec: child('a') })
  expect(reply).toMatchObject({ type: 'child.refused', id: 'a', why: 'already_started', cause: { incarnation: 1 } })
  expect(stage.lives()).toEqual(['started team#1', 'started a#1'])
})

sup('SUP-59', async ({ set }) => {
  const stage = await set({ children: children('a') })
  await stage.ask({ type: 'child.stop', id: 'a' })
  expect(await why(stage, 'child.start', { spec: child('a') })).toBe('already_present')
  expect(stage.living()).toEqual([])
})

sup('SUP-60', async ({ set }) => {
  const stage = await set({ children: children('a') })
  expect(await why(stage, 'child.restart', { id: 'a' })).toBe('running')
  expect(await why(stage, 'child.delete', { id: 'a' })).toBe('running')
  expect(stage.living()).toEqual(['a#1'])
})

sup('SUP-61', async ({ set }) => {
  const stage = await set({ children: children('abc') })
  expect(await stage.ask({ type: 'child.stop', id: 'b' })).toEqual({ type: 'child.stopped', id: 'b' })
  await stage.advance(3_600_000)
  expect(stage.living()).toEqual(['a#1', 'c#1'])
  expect(await stage.standing()).toEqual({ a: 'running', b: 'stopped', c: 'running' })
  expect(await stage.ask({ type: 'child.count' })).toEqual({ type: 'child.count', specs: 3, active: 2, supervisors: 0, workers: 3 })
  expect(await stage.ask({ type: 'child.stop', id: 'b' })).toEqual({ type: 'child.stopped', id: 'b' })
  expect(await stage.ask({ type: 'child.restart', id: 'b' })).toEqual({ type: 'child.started', id: 'b', incarnation: 2 })
  expect(stage.living()).toEqual(['a#1', 'b#2', 'c#1'])
})

sup('SUP-62', async ({ set }) => {
  const stage = await set({ children: [child('a', { restart: 'temporary' }), child('b')] })
  expect(await why(stage, 'child.stop', { id: 'a' })).toBe('child.stopped')
  expect(await why(stage, 'child.restart', { id: 'a' })).toBe('not_found')
  expect(await stage.standing()).toEqual({ b: 'running' })
})

sup('SUP-63', async ({ set }) => {
  const stage = await set({ children: children('a') })
  for (const type of ['child.stop', 'child.restart', 'child.delete', 'child.spec'])
    expect(await why(stage, type, { id: 'nobody' })).toBe('not_found')
  expect(stage.lives()).toEqual(['started team#1', 'started a#1'])
})

sup('SUP-64', async ({ set }) => {
  const stage = await set({ children: children('abc') })
  await stage.ask({ type: 'child.stop', id: 'a' })
  expect(await stage.ask({ type: 'child.delete', id: 'a' })).toEqual({ type: 'child.deleted', id: 'a' })
  expect(await stage.standing()).toEqual({ b: 'running', c: 'running' })
  expect(await stage.ask({ type: 'child.start', spec: child('a') })).toMatchObject({ type: 'child.started', id: 'a' })
  expect(Object.keys(await stage.standing())).toEqual(['b', 'c', 'a'])
  const mark = stage.mark()
  await stage.stop()
  expect(stage.lives(mark).filter((line) => line.startsWith('asked'))).toEqual(['asked a#2', 'asked c#1', 'asked b#1'])
})

sup('SUP-65', async ({ set }) => {
  const stage = await set({ intensity: 0, children: children('a') }, { x: { start: 'fail' } })
  const reply = await stage.ask({ type: 'child.start', spec: child('x') })
  expect(reply).toMatchObject({
    type: 'child.refused',
    id: 'x',
    why: 'start_failed',
    cause: { kind: 'error', error: { message: 'no start' } },
  })
  expect(await stage.standing()).toEqual({ a: 'running' })
  expect(stage.factsOf('actor.restarted')).toEqual([])
  const pool = await set({ intensity: 0, dynamic: { src: 'worker' } }, { x: { start: 'fail' } })
  expect(await pool.ask({ type: 'child.start', id: 'x' })).toMatchObject({ type: 'child.refused', id: 'x', why: 'start_failed' })
  expect([pool.isUp(), await pool.standing()]).toEqual([true, {}])
})

/** Addresses are the handles of lives: the name of the template is none, a child that is dead is stopped, and a child of somebody else is unknown. */
sup('SUP-66', async ({ set }) => {
  const pool = { id: 'pool', dynamic: { src: 'worker', restart: 'temporary' } }
  const stage = await set({ children: [child('stranger'), pool] })
  const ask = async (type: string, id?: string) => {
    const reply = await stage.ask({ type, ...(id === undefined ? {} : { id }) }, 'pool')
    return reply?.type === 'child.refused' ? reply.why : reply?.type
  }
  await ask('child.start')
  await ask('child.start')
  expect(await ask('child.stop', 'worker')).toBe('not_found')
  for (const type of ['child.restart', 'child.delete', 'child.spec']) expect(await ask(type, 'worker-1')).toBe('dynamic')
  expect(await ask('child.stop', 'worker-1')).toBe('child.stopped')
  await stage.finish('pool/worker-2')
  expect(await ask('child.stop', 'worker-2')).toBe('child.stopped')
  expect(await ask('child.stop', 'stranger')).toBe('not_found')
  expect(stage.living()).toEqual(['pool#1', 'stranger#1'])
})

/** Twenty, with a process that dies after each step; 1,000 below. The curve up to 10,000 is drawn elsewhere. */
sup('SUP-67', async ({ set }) => {
  const stage = await set({ dynamic: { src: 'worker', restart: 'temporary' } })
  await crowd(stage, 20)
})

test('SUP-67: 1,000 dynamic children come and go in linear time and leave nothing behind', async () => {
  const stage = await Stage.set('lives on', { dynamic: { src: 'worker', restart: 'temporary' } })
  await crowd(stage, 50) // Warm.
  const few = await crowd(stage, 250)
  const many = await crowd(stage, 1_000)
  expect({ many, few, isLinear: many < 4 * 3 * few }).toMatchObject({ isLinear: true })
})

/** Starts and ends this many; what the supervisor keeps afterwards is what it kept before. Returns the milliseconds of work that it took: others may be busy, too. */
async function crowd(stage: Stage, many: number): Promise<number> {
  const began = process.cpuUsage()
  const before = stage.contextOf('team') as { numbered: number }
  for (let n = 0; n < many; n++) await stage.post('team', { type: 'child.start', input: { argument: 'x'.repeat(100), n } })
  await stage.rest()
  expect(stage.living()).toHaveLength(many)
  const first = before.numbered + 1
  for (let n = 0; n < many; n++) await stage.post(`worker-${first + n}`, { type: 'finish' })
  await stage.rest()
  expect(stage.store.cells('STAGE').map(({ address }) => address)).toEqual(['/top', '/top/client', '/top/team'])
  expect(stage.contextOf('team')).toEqual({ ...before, numbered: before.numbered + many })
  return process.cpuUsage(began).user / 1_000
}

sup('SUP-68', async ({ set }) => {
  const stage = await set({ ...LOOP, children: children('ab') }, { a: [{}, { start: 'fail' }] })
  await stage.boom('a')
  await stage.advance(2_500)
  expect(await stage.standing()).toEqual({ a: 'restarting', b: 'running' })
  expect(await stage.ask({ type: 'child.count' })).toMatchObject({ specs: 2, active: 1 })
  expect(await why(stage, 'child.start', { spec: child('a') })).toBe('already_present')
  expect(await why(stage, 'child.restart', { id: 'a' })).toBe('restarting')
  expect(await why(stage, 'child.delete', { id: 'a' })).toBe('restarting')
})

sup('SUP-69', async ({ set }) => {
  const play = async (strategy: string) => {
    const stage = await set({ ...LOOP, strategy, children: children('ab') }, { a: [{}, { start: 'fail' }] })
    await stage.boom('a')
    await stage.advance(2_500)
    return stage
  }
  for (const strategy of ['one_for_one', 'one_for_all', 'rest_for_one']) {
    const stopped = await play(strategy)
    await stopped.stop()
    expect(stopped.timed().at(-1)).toBe('2500 ended team#1 ordered')
    const given = await play(strategy)
    expect(await given.ask({ type: 'child.stop', id: 'a' })).toEqual({ type: 'child.stopped', id: 'a' })
    const mark = given.mark()
    await given.advance(100_000)
    expect([strategy, given.lives(mark)]).toEqual([strategy, []])
    expect((await given.standing())['a']).toBe('stopped')
  }
})

ours('a request that would cross a group restart is served when it is over, and a question at once', async ({ set }) => {
  const stage = await set({ strategy: 'one_for_all', children: children('ab') }, { b: { cleanUpMs: 100 } })
  await stage.boom('a')
  expect(await stage.ask({ type: 'child.stop', id: 'a' })).toBeNull()
  const stop = stage.asked
  expect(await stage.ask({ type: 'child.count' })).toMatchObject({ specs: 2 })
  await stage.advance(100)
  expect(stage.reply(stop)).toEqual({ type: 'child.stopped', id: 'a' })
  expect(await stage.standing()).toEqual({ a: 'stopped', b: 'running' })
})

ours('a task that was given before is refused, and so is one child more than the template allows', async ({ set }) => {
  const stage = await set({ dynamic: { src: 'worker', restart: 'temporary', childrenMax: 2 } })
  const first = await stage.ask({ type: 'child.start', task: { mend: 'door', at: 1 } })
  expect(first?.type).toBe('child.started')
  expect(await why(stage, 'child.start', { task: { at: 1, mend: 'door' } })).toBe('already_started')
  await stage.finish((first as { id: string }).id)
  expect(await why(stage, 'child.start', { task: { at: 1, mend: 'door' } })).toBe('duplicate')
  for (const task of [2, 3]) expect(await why(stage, 'child.start', { task })).toBe('child.started')
  expect(await why(stage, 'child.start', {})).toBe('limit')
})
