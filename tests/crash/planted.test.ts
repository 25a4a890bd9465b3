/** The killing loop must be able to fail: with each of these bugs planted between the engine and its store, it does. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { Store } from '../../src/runtime/store.ts'
import { survive } from './lives.ts'
import { EXPECTED } from './world.ts'

const base = mkdtempSync(join(tmpdir(), 'troupe-planted-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))
let folders = 0

/** What the sweep finds at the given commits, as short words. */
async function findings(plant: (store: Store) => Store, commits: readonly number[]): Promise<string[]> {
  const found = new Set<string>()
  for (const commit of commits) {
    try {
      const attempt = survive({ folder: join(base, String(++folders)), points: [{ commit, when: 'after' }], turnStepsMax: 1, plant })
      const hung = new Promise<'hung'>((resolve) => setTimeout(() => resolve('hung'), 5_000).unref())
      const survival = await Promise.race([attempt, hung])
      if (survival === 'hung') found.add('never ends')
      else {
        if (survival.found.lost.length > 0) found.add('lost')
        if (survival.found.doubled.length > 0) found.add('doubled')
        if (JSON.stringify(survival.output) !== JSON.stringify(EXPECTED)) found.add('wrong output')
      }
    } catch (error) {
      found.add(String(error).includes('acknowledged and lost') ? 'acknowledged and lost' : `stopped: ${(error as { code?: string }).code}`)
    }
    if (found.size > 0) break
  }
  return [...found]
}

const COMMITS = Array.from({ length: 40 }, (_, index) => 8 + 2 * index)

test('an outcome that is not written is found as an effect that is done twice', { timeout: 120_000 }, async () => {
  const plant = (store: Store): Store =>
    changing(store, (commit) => ({ ...commit, effects: commit.effects.filter(({ effect }) => effect.status !== 'succeeded') }))
  expect(await findings(plant, COMMITS)).toContain('doubled')
})

test('a mailbox that is dropped on restart is found as work that never comes back', { timeout: 120_000 }, async () => {
  const plant = (store: Store): Store => ({ ...store, path: store.path, image: (run) => ({ ...store.image(run), envelopes: [] }) })
  expect((await findings(plant, COMMITS)).length).toBeGreaterThan(0)
})

test('a timer that is forgotten on restart is found as work that never comes back', { timeout: 120_000 }, async () => {
  const plant = (store: Store): Store => ({ ...store, path: store.path, image: (run) => ({ ...store.image(run), timers: [] }) })
  expect((await findings(plant, COMMITS)).length).toBeGreaterThan(0)
})

function changing(
  store: Store,
  change: (commit: Parameters<ReturnType<Store['own']>['commit']>[0]) => Parameters<ReturnType<Store['own']>['commit']>[0],
): Store {
  return {
    ...store,
    path: store.path,
    own: (...args) => {
      const owned = store.own(...args)
      return {
        run: owned.run,
        epoch: owned.epoch,
        commit: (commit) => owned.commit(change(commit)),
        check: () => owned.check(),
        release: () => owned.release(),
      }
    },
  }
}
