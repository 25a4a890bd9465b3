/**
 * Damaged files. A store is harmed at random, in its database or in its log, and a healthy process goes on with it: either every fact that was
 * acknowledged is there in the end, or there is one clear error, the same one each time. What must never be is silence.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Chance, NIGHTLY } from './chance.ts'
import { damage } from './damage.ts'
import { storeOf } from './life.ts'
import { faultPlace } from './place.ts'
import { closedStore, copyOf, killedStore, olderOf } from './scene.ts'
import { isSame, Table, verdictOf } from './verdict.ts'

const place = faultPlace()
const TIMES = NIGHTLY ? 200 : 10

test.for([
  { what: 'the database of a run that was stopped', killed: false, log: false },
  { what: 'the database of a run that was killed', killed: true, log: false },
  { what: 'the log of a run that was killed', killed: true, log: true },
])('damage to $what is mended, or told, and never silent', { timeout: 900_000 }, async ({ what, killed, log }, context) => {
  const scene = await (killed ? killedStore(place, context) : closedStore(place))
  expect(await verdictOf(copyOf(scene, place))).toBe('whole')
  const chance = new Chance(what)
  const [table, silent] = [new Table(), [] as object[]]
  for (let number = 1; number <= TIMES; number++) {
    const folder = copyOf(scene, place)
    const done = log ? damage(`${storeOf(folder)}-wal`, chance) : damage(storeOf(folder), chance, olderOf(scene))
    const verdict = table.add(await verdictOf(folder))
    const again = verdict.startsWith('refused') ? await verdictOf(folder) : verdict
    place.drop(folder)
    if (verdict.startsWith('SILENT') || !isSame(verdict, again)) silent.push({ number, done, verdict, again })
  }
  process.stderr.write(`damage to ${what}, seed ${chance.seed}: ${table}\n`)
  expect({ seed: chance.seed, silent }).toEqual({ seed: chance.seed, silent: [] })
})

test('damage to a high-water mark costs its protection and never a run that is whole', { timeout: 120_000 }, async (context) => {
  const scene = await killedStore(place, context)
  const chance = new Chance('marks')
  const table = new Table()
  for (let number = 1; number <= (NIGHTLY ? 200 : 4); number++) {
    const folder = copyOf(scene, place)
    const marks = readdirSync(`${storeOf(folder)}.marks`)
    expect(marks).toHaveLength(1)
    const done = damage(join(`${storeOf(folder)}.marks`, marks[0]!), chance)
    const verdict = table.add(await verdictOf(folder))
    place.drop(folder)
    expect({ seed: chance.seed, number, done, verdict }).toMatchObject({ verdict: 'whole' })
  }
  process.stderr.write(`damage to a high-water mark, seed ${chance.seed}: ${table}\n`)
})
