/** Many children under one dynamic supervisor: what each costs does not depend on how many there are. Times and memory: `npm run bench -- supervised`. */
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { createTroupe, memoryStore } from '../../src/index.ts'
import { waitUntil } from '../harness.ts'

const NIGHTLY = process.env['TROUPE_NIGHTLY'] !== undefined
const fails = (): boolean => {
  throw new Error('boom')
}
const worker = setup({ types: { events: {} as { type: 'boom' } }, guards: { fails } }).createMachine({
  id: 'worker',
  on: { boom: { guard: 'fails' } },
})

/** Starts `size`, crashes each tenth, and counts what the journal says: entries for each child, restarts, and who is there in the end. */
async function played(size: number): Promise<{ entriesAChild: number; restarts: number; active: number; statuses: readonly string[] }> {
  const troupe = createTroupe({ store: memoryStore(), machines: { worker } })
  const crashes = size / 10
  const run = await troupe.start({ id: 'pool', intensity: crashes, periodMs: 3_600_000, dynamic: { src: 'worker' } })
  const ids = Array.from({ length: size }, (_, index) => `w${index}`)
  for (let at = 0; at < size; at += 500) {
    await Promise.all(ids.slice(at, at + 500).map((id) => run.ask('/pool', { type: 'child.start', id }, { timeoutMs: 600_000 })))
  }
  await Promise.all(ids.slice(0, crashes).map((id) => run.send(`/pool/${id}`, { type: 'boom' })))
  const last = `/pool/w${crashes - 1}`
  await waitUntil(
    'the last is back',
    () => run.snapshot(last)?.incarnation === 2,
    () => run.snapshot(last),
    60_000,
  )
  const { children } = (await run.ask('/pool', { type: 'child.list' }, { timeoutMs: 600_000 })) as unknown as {
    children: { status: string }[]
  }
  const result = await run.stop({ status: 'canceled' })
  const entriesAChild = result.position / size
  const active = children.filter(({ status }) => status === 'running').length
  troupe.close()
  return { entriesAChild, restarts: result.usage.restarts, active, statuses: [...new Set(children.map(({ status }) => status))] }
}

test('SUP-67: a supervisor with many children starts them, brings a tenth of them back, and writes as much for each as where there are few', {
  timeout: 600_000,
}, async () => {
  const few = await played(100)
  const sizes = NIGHTLY ? [1_000, 10_000] : [2_000]
  for (const size of sizes) {
    const many = await played(size)
    expect({ ...many, entriesAChild: null }).toEqual({ entriesAChild: null, restarts: size / 10, active: size, statuses: ['running'] })
    expect(many.entriesAChild).toBeLessThanOrEqual(few.entriesAChild)
    expect(few.entriesAChild - many.entriesAChild).toBeLessThan(0.2)
  }
})
