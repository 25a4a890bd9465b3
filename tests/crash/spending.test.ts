/** A budget over processes that are really killed: what the world was paid never passes it, what is on record covers it, and a resume grants nothing. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Usage } from '../../src/effect.ts'
import { chargedBelow } from '../../src/runtime/ledger.ts'
import { chargedTo, heldBy, isNothing } from '../../src/runtime/spending.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { Chance } from '../../src/testing/chance.ts'
import { nanoUsd } from '../../src/usage.ts'
import { temporaryFolder } from '../harness.ts'
import { LIMITS } from '../simulation/spenders.ts'

const CHILD = new URL('./spender.child.ts', import.meta.url).pathname
const KILLS = process.env['TROUPE_NIGHTLY'] === undefined ? 4 : 200

/** One life; `killMs`: SIGKILL so long after it is ready, null: it ends by itself. */
function live(folder: string, seed: number, killMs: number | null): Promise<{ readonly signal: string | null; readonly said: string }> {
  const args = ['--no-warnings', CHILD, folder, String(seed), ...(killMs === null ? ['last'] : [])]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
    if (killMs !== null && said === 'ready\n') setTimeout(() => child.kill('SIGKILL'), killMs)
  })
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  return new Promise((resolve) => child.on('close', (_, signal) => resolve({ signal, said })))
}

test(`P6: over ${KILLS} real SIGKILLs a budget of 0.05 USD is never passed, and what is on record covers what was paid`, async () => {
  const folder = temporaryFolder()
  const chance = new Chance(7, 'kills')
  for (let n = 1; n <= KILLS; n++) {
    expect(await live(folder, n, 20 + chance.below(200))).toEqual({ signal: 'SIGKILL', said: 'ready\n' })
    check(folder)
  }
  expect(await live(folder, KILLS + 1, null)).toEqual({ signal: null, said: 'ready\nover\n' })
  const { held, lost, paid, charged } = check(folder)
  process.stderr.write(`${KILLS} SIGKILLs: ${JSON.stringify({ paidUsd: paid / 1e9, chargedUsd: charged / 1e9, lost })}\n`)
  expect(held).toEqual([])
  expect(lost).toBeGreaterThan(0)
}, 600_000)

/** Looks at the store and at the till of a world that nobody lives in now. */
function check(folder: string) {
  const store = sqliteStore({ path: join(folder, 'troupe.db') })
  const [run] = store.runs({})
  const effects = store.effects(run!.run)
  const text = existsSync(join(folder, 'paid')) ? readFileSync(join(folder, 'paid'), 'utf8') : ''
  const till = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { path: string; effect: string; usage: Usage })
  const paidTo = (fits: (entry: (typeof till)[number]) => boolean) =>
    till.filter(fits).reduce((sum, { usage }) => sum + nanoUsd(usage.costUsd!), 0)
  const passed = Object.entries(LIMITS).filter(
    ([at, { usdMax }]) => usdMax !== undefined && paidTo(({ path }) => path === at || path.startsWith(`${at}/`)) > nanoUsd(usdMax),
  )
  const uncovered = effects.filter((row) => paidTo(({ effect }) => effect === row.id) > chargedTo(row).nanoUsd + heldBy(row).nanoUsd)
  expect({ passed, uncovered, recorded: run!.limits.spent ?? { tokens: 0, nanoUsd: 0, turns: 0 } }).toEqual({
    passed: [],
    uncovered: [],
    recorded: chargedBelow(effects, ''),
  })
  store.close()
  return {
    held: effects.filter((row) => !isNothing(heldBy(row))).map(({ id }) => id),
    lost: effects.reduce((sum, { lost = 0 }) => sum + lost, 0),
    paid: paidTo(() => true),
    charged: chargedBelow(effects, '').nanoUsd,
  }
}
