/** Starts the house in a process of its own, which dies by SIGKILL; brings the house back in this one, and compares. Run it: npx node main.ts */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { inspect, isDeepStrictEqual } from 'node:util'
import type { RunSession, Store } from '../../src/index.ts'
import { lightning, openHouse, tree } from './house.ts'

/** Everything that lives: who, in which state, what it knows, and what is still to come. */
function picture(session: RunSession, store: Store) {
  const { envelopes, timers, effects } = store.image(session.id)
  return {
    actors: store.cells(session.id).map(({ address }) => ({ address, ...session.snapshot(address) })),
    waiting: envelopes.map(({ to, event }) => ({ to, ...event })),
    timers: timers.map(({ owner, id, dueAt }) => ({ owner, id, dueAt })),
    effects: effects.map(({ owner, kind, status, attempt }) => ({ owner, kind, status, attempt })),
  }
}

const show = (title: string, what: object): void => console.log(`${title} ${inspect(what, { depth: 6, breakLength: 140 })}`)

async function live(path: string): Promise<void> {
  const { store, troupe } = openHouse(path, () => new Promise(() => {})) // The bread is never done in this life.
  const session = await troupe.start(tree)
  await session.send('/house', { type: 'hello' }) // Acknowledged: the house stands.
  lightning.strike = () => {
    writeSync(1, JSON.stringify({ run: session.id, was: picture(session, store) }))
    process.kill(process.pid, 'SIGKILL')
  }
  for (const name of ['ann', 'bob']) await session.send('/house/hall', { type: 'arrive', name })
  await session.send('/house/hall', { type: 'storm' })
}

async function rehydrate(path: string): Promise<boolean> {
  const died = spawnSync(process.execPath, [import.meta.filename, path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  const { run, was } = JSON.parse(died.stdout) as { run: string; was: ReturnType<typeof picture> }
  show(`died by ${died.signal}; it was`, was)
  await pause(500) // The bell was due 300 ms after the start: nobody was there to ring it.
  const { store, troupe } = openHouse(path, async () => 3)
  const session = await troupe.resume(run)
  const came = JSON.parse(JSON.stringify(picture(session, store)))
  show('came back', came)
  await pause(300)
  const bells = store.journal(run, 0).filter(({ type, data }) => type === 'timer.fired' && data.includes('soon'))
  const know = (id: string) => session.snapshot(`/house/${id}`)?.context
  const after = { hall: know('hall'), kitchen: know('kitchen'), bells: bells.map(({ data }) => data) }
  show('and went on', after)
  await session.stop()
  troupe.close()
  const wentOn = isDeepStrictEqual([after.hall, after.kitchen, bells.length], [{ rang: 1, heard: ['dinner is ready'] }, { loaves: 3 }, 1])
  return died.signal === 'SIGKILL' && isDeepStrictEqual(came, was) && wentOn
}

const [path] = process.argv.slice(2)
if (path !== undefined) await live(path)
else {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-house-'))
  const isEqual = await rehydrate(join(folder, 'troupe.db')).finally(() => rmSync(folder, { recursive: true }))
  console.log(isEqual ? 'equal: nothing was lost, and nothing happened twice' : 'NOT equal')
  process.exitCode = isEqual ? 0 : 1
}
