/** Scenes of an accident: stores with half a run in them, and copies of them to do harm to. */
import { cpSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, type TestContext } from 'vitest'
import { acknowledged, live, storeOf, worldOf } from './life.ts'
import type { FaultPlace } from './place.ts'
import { startWorker } from './worker.ts'

/** The database as it was a life before. */
export const olderOf = (scene: string): string => join(scene, 'older.db')

/** Stopped in good order half way, for the second time: everything is in the database, there is no log. */
export async function closedStore(place: FaultPlace): Promise<string> {
  const folder = place.folder()
  expect((await live({ folder, stopAfter: 2 })).status).toBe('interrupted')
  cpSync(storeOf(folder), olderOf(folder))
  expect((await live({ folder, stopAfter: 1 })).status).toBe('interrupted')
  expect(existsSync(`${storeOf(folder)}-wal`)).toBe(false)
  return folder
}

/** The same, resumed and killed some commits later, before a sync: the first half is in the database, the rest in its log. */
export async function killedStore(place: FaultPlace, context: TestContext): Promise<string> {
  const folder = await closedStore(place)
  const before = acknowledged(folder).commits.length
  const disk = place.disk(context)
  const worker = await startWorker(disk.env)
  disk.arm(join(folder, 'store'), { call: 'sync', at: 8, how: 'kill before' })
  expect(await worker.live({ folder })).toBeNull()
  await worker.end()
  expect(existsSync(`${storeOf(folder)}-wal`)).toBe(true)
  expect(acknowledged(folder).commits.length).toBeGreaterThan(before)
  return folder
}

/** A copy that may be harmed. The memory that processes shared is none: nobody has the file open. */
export function copyOf(scene: string, place: FaultPlace): string {
  const folder = place.folder()
  cpSync(worldOf(scene), worldOf(folder), { recursive: true })
  cpSync(join(scene, 'store'), join(folder, 'store'), { recursive: true, filter: (path) => !path.endsWith('-shm') })
  return folder
}
