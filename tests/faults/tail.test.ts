/**
 * A log that is gone, or ends too early. SQLite takes what is left of it for all there is; the high-water mark knows better: the run is refused, with the
 * number of entries that are missing. Cut behind the last acknowledged commit nothing is missing, and the run goes on.
 */
import { rmSync, statSync, truncateSync } from 'node:fs'
import { expect, test } from 'vitest'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { Chance } from './chance.ts'
import { LOG } from './damage.ts'
import { acknowledged, live, storeOf } from './life.ts'
import { faultPlace } from './place.ts'
import { copyOf, killedStore } from './scene.ts'
import { verdictOf } from './verdict.ts'

const place = faultPlace()

/** Where the journal ends, as far as anybody can tell from the database and what is left of its log. */
function endOf(folder: string): number {
  const store = sqliteStore({ path: storeOf(folder) })
  const { position } = store.runs({})[0]!
  store.close()
  return position
}

test('a log that was deleted, or cut between any two frames, is missed: the run is refused with the number of entries that are gone', {
  timeout: 300_000,
}, async (context) => {
  const scene = await killedStore(place, context)
  const promised = acknowledged(scene).commits.at(-1)!.position
  const frames = Math.floor((statSync(`${storeOf(scene)}-wal`).size - LOG.headerBytes) / LOG.frameBytes)
  const chance = new Chance('tail')
  const seen = { lost: 0, kept: 0 }
  for (const left of [null, 0, ...chance.sample(frames, 12)]) {
    const folder = copyOf(scene, place)
    if (left === null) rmSync(`${storeOf(folder)}-wal`)
    else truncateSync(`${storeOf(folder)}-wal`, LOG.headerBytes + left * LOG.frameBytes)
    const end = endOf(copyOf(folder, place))
    if (end >= promised) {
      seen.kept++
      expect({ left, verdict: await verdictOf(folder) }).toEqual({ left, verdict: 'whole' })
      continue
    }
    seen.lost++
    const { refused } = await live({ folder })
    expect({ left, end, refused }).toMatchObject({ left, end, refused: { at: 'resume', name: 'UserError', code: 'E_STORE_TAIL_LOST' } })
    expect(refused!.message).toContain(`${promised - end} entries are missing`)
    expect(refused!.fix).toContain('troupe db restore')
  }
  process.stderr.write(
    `a log of ${frames} frames, seed ${chance.seed}: ${seen.lost} times too short and told, ${seen.kept} times long enough\n`,
  )
  expect(seen).toEqual({ lost: expect.toSatisfy((count: number) => count > 1), kept: expect.toSatisfy((count: number) => count > 0) })
})
