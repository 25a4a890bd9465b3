/**
 * The team over real HTTP, killed at its commit points: the request log of the server says whether a call was paid for a second time although its answer was
 * committed. A call that was under way is asked again, by its policy, and is counted.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { parseTask } from '../../src/actors/task.ts'
import type { EffectHandler } from '../../src/effect.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { ADAPTERS, type AdapterName, providerOf, sameForAll, serverOf, wiredModel } from '../actors/wired.ts'
import { playing } from '../wire/play.ts'
import { Killed, type KillPoint } from './killing-store.ts'
import { type TeamSurvival, teamLife, type Wire } from './team-lives.ts'

const NIGHTLY = process.env['TROUPE_NIGHTLY'] !== undefined
const base = mkdtempSync(join(tmpdir(), 'troupe-calls-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))
let folders = 0
const folder = (): string => join(base, String(++folders))

const TASK = fileURLToPath(new URL('../../examples/greeter.task.yaml', import.meta.url))
const { replies } = parseTask(readFileSync(TASK, 'utf8').replace(/delay: \w+/g, 'delay: 1ms'), TASK)
const HEADER = 'x-effect'
/** Paths that generate, and so cost. */
const PAID = /\/(?:chat|messages|completions)$/

/** Which effect a request is of travels beside it: put there by the test, at the seam of `fetch`. */
const about = new AsyncLocalStorage<string>()
const marking: typeof globalThis.fetch = (input, init) => {
  const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined))
  headers.set(HEADER, about.getStore() ?? 'nobody')
  return globalThis.fetch(input, { ...init, headers })
}
const wrap: Wire['wrap'] = (handler: EffectHandler<unknown, unknown>) => ({
  ...handler,
  perform: (call) => about.run(call.id, () => handler.perform(call)),
})

/** Effects whose answer this store has. */
function answered(where: string): ReadonlySet<string> {
  const store = sqliteStore({ path: join(where, 'troupe.db') })
  try {
    const run = store.runs({})[0]
    const effects = run === undefined ? [] : store.effects(run.run)
    return new Set(effects.filter(({ kind, status }) => kind === 'llm.generate' && status === 'succeeded').map(({ id }) => id))
  } finally {
    store.close()
  }
}

/** Lives until one ends by itself. `again`: calls that were paid for although their answer was there; `repeated`: asked again, as nobody knew. */
async function survive(adapter: AdapterName, points: readonly KillPoint[]) {
  const where = folder()
  const server = await serverOf(adapter, playing(replies))
  const model = wiredModel(adapter)
  const wire: Wire = { providers: { [adapter]: providerOf(adapter, server.url, marking) }, models: sameForAll([model]), wrap }
  const asked = (): string[] => server.log.flatMap(({ path, headers }) => (PAID.test(path) ? [String(headers[HEADER])] : []))
  const again: string[] = []
  let survival: TeamSurvival | null = null
  for (let life = 0; survival === null; life++) {
    const [known, before] = [life === 0 ? new Set<string>() : answered(where), asked().length]
    try {
      survival = await teamLife(where, points[life] ?? null, undefined, 256, wire)
    } catch (error) {
      if (!(error instanceof Killed)) throw error
    }
    again.push(
      ...asked()
        .slice(before)
        .filter((effect) => known.has(effect)),
    )
  }
  const all = asked()
  await server.close()
  return { survival, again, requests: all.length, repeated: all.length - new Set(all).size }
}

test.each(ADAPTERS)(
  'over the wire of %s, no call whose answer was committed is paid for again, wherever the process dies',
  { timeout: 3_600_000 },
  async (adapter) => {
    const whole = await survive(adapter, [])
    expect(whole.survival).toMatchObject({ status: 'succeeded', found: { lost: [], doubled: [], inDoubt: [] }, left: 0 })
    expect(whole.repeated).toBe(0)
    const all = Array.from({ length: whole.survival.commits }, (_, index) => index + 1).flatMap((commit): KillPoint[] => [
      { commit, when: 'before' },
      { commit, when: 'after' },
    ])
    const every = NIGHTLY ? 1 : Math.ceil(all.length / (adapter === 'anthropic' ? 2 : 1))
    const offset = NIGHTLY ? 0 : ADAPTERS.indexOf(adapter) * 31
    const sample = all.filter((_, index) => (index + offset) % every === 0)
    const counted = { points: 0, requests: 0, repeated: 0 }
    for (const point of sample) {
      const { survival, again, requests, repeated } = await survive(adapter, [point])
      expect({
        point,
        again,
        status: survival.status,
        files: survival.files,
        found: survival.found.lost.concat(survival.found.doubled),
      }).toEqual({
        point,
        again: [],
        status: 'succeeded',
        files: whole.survival.files,
        found: [],
      })
      counted.points++
      counted.requests += requests
      counted.repeated += repeated
    }
    process.stderr.write(
      `${adapter}: killed at ${counted.points} of ${all.length} points, ${counted.requests} requests, ` +
        `${counted.repeated} asked again by policy, 0 of them with a committed answer\n`,
    )
  },
)
