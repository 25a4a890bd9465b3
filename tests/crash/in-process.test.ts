/**
 * The killing loop in process: a store that throws before or after its Nth commit, and from then on for ever, stands for a process that died there.
 * Every commit point of the run is swept, so what holds here holds between any two commits.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { Killed, type KillPoint, killingStore } from './killing-store.ts'
import { audit, Ledger } from './ledger.ts'
import { drive, EXPECTED, makeTroupe, tree } from './world.ts'

const base = mkdtempSync(join(tmpdir(), 'troupe-kill-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))
let folders = 0

/** Runs the world with death at the given points, one per life, until a life ends by itself. */
async function survive(points: readonly KillPoint[]) {
  const folder = join(base, String(++folders))
  mkdirSync(folder)
  const ledger = new Ledger(join(folder, 'ledger'))
  const acknowledged = new Set<number>()
  let run: string | undefined
  for (let life = 0; ; life++) {
    const store = killingStore(sqliteStore({ path: join(folder, 'troupe.db') }), points[life] ?? null)
    const troupe = makeTroupe(store, folder, ledger)
    try {
      run ??= store.runs({})[0]?.run
      const session = run === undefined ? await troupe.start(tree) : await troupe.resume(run)
      run = session.id
      const driven = drive(session, acknowledged, (n) => acknowledged.add(n)).catch((error) => {
        if (!(error instanceof Killed)) throw error
      })
      const result = await session.done()
      await driven
      const found = audit(store, run, ledger)
      const commits = store.commits()
      return { result, found, commits, lives: life + 1 }
    } catch (error) {
      if (!(error instanceof Killed)) throw error
    } finally {
      store.close()
    }
  }
}

test('an undisturbed run ends with everything it was sent, and a commit count to sweep', async () => {
  const { result, found } = await survive([])
  expect(result.output).toEqual(EXPECTED)
  expect(result.usage.restarts).toBe(1)
  expect(found).toEqual({ lost: [], doubled: [], repeated: 0, inDoubt: [] })
})

test('a run that dies before or after any of its commits ends as if it had not', async () => {
  const { commits } = await survive([])
  let repeated = 0
  for (let commit = 1; commit <= commits; commit++) {
    for (const when of ['before', 'after'] as const) {
      const { result, found } = await survive([{ commit, when }])
      expect({ commit, when, output: result.output, lost: found.lost, doubled: found.doubled }).toEqual({ commit, when, output: EXPECTED, lost: [], doubled: [] })
      repeated += found.repeated
    }
  }
  process.stderr.write(`in-process sweep: ${2 * commits} kill points, ${repeated} effects repeated by policy, 0 lost, 0 doubled\n`)
}, 240_000)
