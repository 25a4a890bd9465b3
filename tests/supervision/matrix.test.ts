/** Each cell of the restart matrix on the real engine, alive and killed between any two decisions; and the page that prints it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { child, perform } from './case.ts'
import { BYSTANDERS, CELLS, type Cell, type Fate, markdown, REASONS, RESTARTS, STRATEGIES } from './matrix.ts'
import type { Stage } from './stage.ts'

test('the matrix has every cell once', () => {
  const names = CELLS.map(({ strategy, restart, reason }) => `${strategy} ${restart} ${reason.name}`)
  expect(new Set(names).size).toBe(STRATEGIES.length * RESTARTS.length * REASONS.length)
  expect(CELLS).toHaveLength(4 * 3 * 8)
})

const nameOf = ({ strategy, restart, reason }: Cell) => `${strategy}, ${restart}, ${reason.name}`

test.each(CELLS.map((cell) => [nameOf(cell), cell] as const))('%s: what follows is what the rules say', (_, cell) => {
  const { strategy, restart, reason, expected } = cell
  const flags = { intensity: 1, periodMs: 3_600_000, ...(reason.otpExitReasons === true ? { otpExitReasons: true } : {}) }
  const listed = { strategy, children: [child('before'), child('it', { restart }), child('last')] }
  const pool = { dynamic: { src: 'worker', restart } }
  return perform('killed between any two decisions', async ({ set }) => {
    const stage = await set({ ...flags, ...(strategy === 'dynamic' ? pool : listed) })
    if (strategy === 'dynamic') for (const id of ['before', 'it', 'last']) await stage.ask({ type: 'child.start', id })
    await stage.exit('it', reason.reason)
    await stage.advance(3_600_000)
    expect(stage.isUp()).toBe(true)
    const [before, it, after] = await fatesOf(stage, ['before', 'it', 'last'])
    expect({ child: it, before, after, counted: stage.restartsOf('it') }).toEqual(expected)
  })
})

test.each(['one_for_all', 'rest_for_one'])('%s: what a group restart does to those that it takes along', (strategy) =>
  perform('killed between any two decisions', async ({ set }) => {
    for (const { restart, standing, reviveFinished, expected } of BYSTANDERS) {
      const stage = await set({ strategy, reviveFinished, children: [child('trigger'), child('it', { restart })] })
      if (standing === 'finished') await stage.finish('it')
      if (standing === 'stopped by hand') await stage.ask({ type: 'child.stop', id: 'it' })
      await stage.boom('trigger')
      const [fate] = await fatesOf(stage, ['it'])
      expect({ restart, standing, reviveFinished, fate }).toEqual({ restart, standing, reviveFinished, fate: expected })
    }
  }),
)

async function fatesOf(stage: Stage, ids: readonly string[]): Promise<Fate[]> {
  const standing = await stage.standing()
  const living = stage.living()
  return ids.map((id) => {
    if (living.includes(`${id}#1`)) return 'untouched'
    if (living.includes(`${id}#2`) && standing[id] === 'running') return 'restarted'
    return standing[id] === 'stopped' ? 'stays stopped' : standing[id] === undefined ? 'gone' : (`not ${standing[id]}` as Fate)
  })
}

/** `TROUPE_WRITE=1` writes the tables anew. */
test('the page of reference prints the matrix as it is', () => {
  const path = join(import.meta.dirname, '../../docs/reference/supervision.md')
  const page = readFileSync(path, 'utf8')
  const { matrix, bystanders } = markdown()
  const printed = between(between(page, 'matrix', matrix), 'bystanders', bystanders)
  if (process.env['TROUPE_WRITE'] === '1') writeFileSync(path, printed)
  else expect(page).toBe(printed)
})

function between(page: string, name: string, text: string): string {
  const [begin, end] = [`<!-- ${name} -->\n`, `\n<!-- end of ${name} -->`]
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`the page has no place for ${name}`)
  return page.slice(0, from + begin.length) + text + page.slice(to)
}
