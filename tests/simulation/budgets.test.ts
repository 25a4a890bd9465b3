/**
 * A budget of 0.05 USD over eight agents, with adversarial timing and deaths: at every commit what is spent and held fits every budget, the world is never paid
 * more, nothing leaks, and the leaves add up to the root. In every test run the same seeds, at night more. TROUPE_SEED=n plays one alone.
 */
import { expect, test } from 'vitest'
import { chargedBelow, ledgerOf } from '../../src/runtime/ledger.ts'
import { chargedTo, heldBy, isNothing } from '../../src/runtime/spending.ts'
import type { Store } from '../../src/runtime/store.ts'
import type { Planted } from '../../src/testing/process.ts'
import { simulatePlanted } from '../../src/testing/simulate.ts'
import { usdOf } from '../../src/usage.ts'
import { handlers, machines, orders, RUN_BUDGET, tree, World } from './spenders.ts'

const NIGHTLY = process.env['TROUPE_NIGHTLY'] !== undefined
const SEED = process.env['TROUPE_SEED']
const SEEDS = NIGHTLY ? 2_000 : 16

async function play(seed: number, planted: Planted = {}) {
  const world = new World()
  let store: Store | undefined
  const report = await simulatePlanted(
    tree,
    {
      seed,
      machines,
      budget: RUN_BUDGET,
      effects: handlers(seed, world),
      events: orders(seed, 80),
      turnStepsMax: [256, 3, 1][seed % 3]!,
      faults: {
        crashActor: 0.01,
        crashSupervisor: 0.01,
        crashProcess: 0.04,
        failEffect: 0.05,
        delayEffect: { rate: 0.3, maxMs: 2_000 },
        failCommit: 0.01,
      },
    },
    { ...planted, store: (inner) => (store = (planted.store ?? ((same) => same))(inner)) },
  )
  return { report, world, effects: report.failure === null ? store!.effects('SIMULATED') : [] }
}

type Played = Awaited<ReturnType<typeof play>>

/** What is wrong with the end of a run, in words; empty: nothing. */
function wrongs({ report, world, effects }: Played): string[] {
  const found = report.failure === null ? [] : [`${report.failure.invariant}: ${report.failure.message}`]
  found.push(...world.overdrawn.map((what) => `the world was paid ${what}`))
  const leaking = effects.filter((row) => !isNothing(heldBy(row))).map(({ id, status }) => `${id} is over as ${status} and holds something`)
  const root = chargedBelow(effects, '')
  for (const row of effects) {
    const [paid, charged] = [world.paidFor(row.id), chargedTo(row).nanoUsd]
    if (charged < paid) found.push(`${paid} were paid for ${row.id}, ${charged} are on record`)
  }
  const ledger = ledgerOf(effects)
  const leaves = [...new Set(effects.map(({ owner }) => owner))].map((owner) =>
    chargedBelow(
      effects.filter((row) => row.owner === owner),
      owner,
    ),
  )
  const added = leaves.reduce((sum, { nanoUsd, tokens }) => [sum[0]! + nanoUsd, sum[1]! + tokens], [0, 0])
  if (added[0] !== root.nanoUsd || added[1] !== root.tokens) found.push(`the leaves are ${added}, the root is ${JSON.stringify(root)}`)
  const parts = ledger.byActor.reduce((sum, { own }) => sum + Math.round(own.knownUsd * 1e9), 0)
  if (parts !== Math.round(ledger.total.knownUsd * 1e9))
    found.push(`the actors' own costs are ${parts}, the total is ${ledger.total.knownUsd}`)
  return [...found, ...leaking]
}

function totals() {
  const sums = {
    seeds: 0,
    commits: 0,
    calls: 0,
    deaths: 0,
    failedCommits: 0,
    restarts: 0,
    refused: 0,
    lost: 0,
    retries: 0,
    cancelled: 0,
    mostUsd: 0,
    leastLeftUsd: 1,
  }
  const add = ({ report, world, effects }: Played): void => {
    const count = (type: string): number => report.journal.split('\n').filter((line) => line.includes(` ${type} `)).length
    const root = chargedBelow(effects, '')
    sums.seeds++
    sums.commits += count('effect.started')
    sums.calls += world.calls
    sums.deaths += report.deaths
    sums.failedCommits += report.failedCommits
    sums.restarts += report.restarts
    sums.refused += count('limit.reached')
    sums.lost += effects.reduce((sum, { lost = 0 }) => sum + lost, 0)
    sums.retries += count('retry.scheduled')
    sums.cancelled += effects.filter(({ status }) => status === 'cancelled').length
    sums.mostUsd = Math.max(sums.mostUsd, usdOf(world.nanoUsd))
    sums.leastLeftUsd = Math.min(sums.leastLeftUsd, Number((0.05 - usdOf(root.nanoUsd)).toFixed(9)))
  }
  return { sums, add }
}

test('P6: 0.05 USD over 8 agents: spent and held never pass any budget, nothing leaks, leaves add up to the root, whatever dies', async () => {
  const { sums, add } = totals()
  const seeds = SEED === undefined ? Array.from({ length: SEEDS }, (_, n) => n + 1) : [Number(SEED)]
  for (const seed of seeds) {
    const played = await play(seed)
    expect({ seed, wrong: wrongs(played) }).toEqual({ seed, wrong: [] })
    add(played)
  }
  process.stderr.write(`budget of 0.05 USD: ${JSON.stringify(sums)}\n`)
  if (SEED !== undefined) return
  // So much has been tried, and the money was nearly all used.
  expect(Math.min(sums.deaths, sums.refused, sums.lost, sums.retries, sums.cancelled, sums.restarts)).toBeGreaterThan(20)
  expect(sums.mostUsd).toBeLessThanOrEqual(0.05)
  expect(sums.mostUsd).toBeGreaterThan(0.03)
}, 120_000)
