/** What a run is given as `fetch`, when it starts and when it goes on. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { continued, openSeam } from '../../../src/actors/cassettes/seam.ts'
import { readTape } from '../../../src/actors/cassettes/tape.ts'
import { temporaryFolder } from '../../harness.ts'
import { serve } from './server.ts'

test('a run that is resumed goes on with its tape; another tape that is asked for then begins anew', () => {
  const own = { record: { file: '/a' } }
  const other = { record: { file: '/b' } }
  const replay = { replay: { file: '/c', strict: true } }
  expect([
    continued(own, {}),
    continued(own, own),
    continued(own, other),
    continued(own, replay),
    continued(replay, {}),
    continued({}, {}),
  ]).toEqual([
    { ...own, append: true },
    { ...own, append: true },
    { ...other, append: false },
    { ...replay, append: false },
    { ...replay, append: false },
    { append: false },
  ])
})

test('recorded, interrupted, resumed and replayed: the tape has both parts, and the replay asks no server and tells what nobody wanted', async () => {
  const file = join(temporaryFolder(), 'tape.jsonl')
  const server = await serve(({ body }) => ({ body: [body] }))
  const ask = async (by: typeof fetch | undefined, n: number) =>
    (await by!(`${server.url}/x`, { method: 'POST', body: `{"n":${n}}` })).json()
  const first = await openSeam({ record: { file } })
  await ask(first.fetch, 1)
  await first.close()
  const second = await openSeam(continued({ record: { file } }, {}))
  await Promise.all([ask(second.fetch, 2), ask(second.fetch, 3)])
  await second.close()
  await server.stop()
  expect((await readTape(file)).exchanges.length).toBe(3)
  const tape = await openSeam({ replay: { file, strict: true } })
  expect([await ask(tape.fetch, 1), await ask(tape.fetch, 3), tape.isReplay, tape.unused().length]).toEqual([{ n: 1 }, { n: 3 }, true, 1])
  expect(await openSeam({})).toMatchObject({ fetch: undefined, isReplay: false, torn: null })
})
