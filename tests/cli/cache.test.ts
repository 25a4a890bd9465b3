/** `cache stats|validate|purge`: exact counts, as text and as JSON, and with which exit code. A6. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { diskCache } from '../../src/actors/caches/disk.ts'
import { type Place, place, troupe } from './process.ts'

const keyOf = (n: number): string => n.toString(16).padStart(2, '0').repeat(32)

/** A cache of so many answers, asked for seven times with five hits. */
async function given({ home }: Place, entries: number): Promise<string> {
  const root = join(home, 'cache')
  const cache = diskCache({ root, mode: 'readwrite', bytesMax: 1_000_000 })
  for (let n = 0; n < entries; n++)
    await cache.put(keyOf(n), { message: { role: 'assistant', content: `${n}` }, finish: 'stop', provider: 'ollama', model: 'm' })
  for (const n of [0, 1, 0, 1, 0, 98, 99]) await cache.get(keyOf(n))
  return root
}
const said = async (at: Place, ...args: readonly string[]) => {
  const { exit, out, err } = await troupe(at, ['cache', ...args])
  return { exit, out: out.replace(/[\d.]+ k?B/g, 'SIZE'), err: err.replace(/[\d.]+ k?B/g, 'SIZE') }
}

test('A6 stats, validate and purge of the command line count exactly', async () => {
  const at = place()
  expect(await said(at, 'stats')).toEqual({ exit: 0, out: '0 entries, SIZE, nothing asked in 7d\n', err: '' })
  const root = await given(at, 12)
  expect(await said(at, 'stats')).toEqual({ exit: 0, out: '12 entries, SIZE, 71% hits in 7d\n', err: '' })
  expect(await said(at, 'validate')).toEqual({ exit: 0, out: '12 ok, 0 invalid\n', err: '' })
  writeFileSync(join(root, '03', `${keyOf(3)}.json`), '{"sha256":"x","payload":{"v":1}}')
  expect(await said(at, 'validate')).toEqual({
    exit: 1,
    out: '11 ok, 1 invalid (0303030: sha256 differs)   remove: troupe cache purge --invalid\n',
    err: '',
  })
  const json = JSON.parse((await troupe(at, ['cache', 'validate', '--json'])).out)
  expect(json).toMatchObject({
    schema: 'troupe.cache/1',
    entries: 12,
    hits: 5,
    misses: 2,
    invalid: 1,
    removed: 0,
    items: [{ key: keyOf(3), cause: 'sha256 differs' }],
  })
  expect(await said(at, 'purge', '--invalid')).toEqual({
    exit: 2,
    out: '',
    err: 'error[E_CONFIRM_REQUIRED] cache purge --invalid  remove 1 cached answer (SIZE)? nobody can be asked here\n  fix: troupe cache purge --invalid -y\n',
  })
  expect(await said(at, 'purge', '--invalid', '-y')).toEqual({ exit: 0, out: 'removed 1 entry, 11 left (SIZE)\n', err: '' })
  expect(await said(at, 'purge', '--older-than', '1d', '-y')).toEqual({ exit: 0, out: 'removed 0 entries, 11 left (SIZE)\n', err: '' })
  const purged = JSON.parse((await troupe(at, ['cache', 'purge', '--all', '-y', '--json'])).out)
  expect(purged).toMatchObject({ schema: 'troupe.cache/1', entries: 0, bytes: 0, invalid: 0, removed: 11 })
})

test('purge wants to be told what goes, one thing at a time', async () => {
  const at = place()
  expect(await said(at, 'purge')).toMatchObject({
    exit: 2,
    err: expect.stringContaining('error[E_USAGE] cache purge  what is to go is not said'),
  })
  expect(await said(at, 'purge', '--all', '--invalid')).toMatchObject({ exit: 2, err: expect.stringContaining('E_FLAG_CONFLICT') })
})
