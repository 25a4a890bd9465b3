/** A process that dies while it records leaves whole lines and at most one torn one, and each answer that it has had is among the whole ones. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { lineOf } from '../../../src/actors/cassettes/exchange.ts'
import { recordingFetch } from '../../../src/actors/cassettes/record.ts'
import { replayFetch } from '../../../src/actors/cassettes/replay.ts'
import { openTape, readTape } from '../../../src/actors/cassettes/tape.ts'
import { temporaryFolder, waitUntil } from '../../harness.ts'
import { serve } from './server.ts'

const CHILD = join(import.meta.dirname, 'recorder.child.ts')
const NIGHTLY = Number(process.env['TROUPE_NIGHTLY'] ?? 0) > 0

/** Records until so many answers were had, then SIGKILL. @returns the numbers of the answers that it has had, and what it said of its tape's end. */
async function recordAndDie(file: string, url: string, from: number, enough: number): Promise<{ had: number[]; torn: string }> {
  const child = spawn(process.execPath, [CHILD, file, url, String(from)], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  const had = () => [...out.matchAll(/^had ([\d.]+)$/gm)].map(([, number]) => Number(number))
  const ended = new Promise((resolve) => child.once('close', resolve))
  await waitUntil(
    'it has had some answers',
    () => had().length >= enough,
    () => out,
  )
  child.kill('SIGKILL')
  await ended
  return { had: had(), torn: /^torn (.+)$/m.exec(out)?.[1] ?? 'nothing' }
}

test('SIGKILL while recording: every answer that was had is on the tape, and the next process goes on after it', async () => {
  const file = join(temporaryFolder(), 'tape.jsonl')
  const filler = 'y'.repeat(20_000)
  const server = await serve(({ body }) => ({ body: ['{"of":', body, ',"filler":"', filler, '"}'] }))
  const all: number[] = []
  for (let life = 0; life < (NIGHTLY ? 12 : 3); life++) {
    const { had } = await recordAndDie(file, server.url, life * 1_000, 4 + life)
    all.push(...had)
    // A torn line, as a write that was cut off by power loss would leave one: the next life has to find it.
    writeFileSync(file, '{"v":1,"normaliser":1,"at":"20', { flag: 'a' })
  }
  const recording = await recordingFetch({ file, append: true })
  expect(recording.torn).toMatchObject({ line: readFileSync(file, 'utf8').split('\n').length, bytes: 30 })
  await recording.close()
  const { problems, exchanges, torn } = await readTape(file)
  const taped = exchanges.map(({ request }) => (request.json as { number: number }).number)
  expect({ problems, torn, missing: all.filter((number) => !taped.includes(number)) }).toEqual({ problems: [], torn: null, missing: [] })
  const replay = await replayFetch({ file, strict: true })
  for (const number of all) {
    const response = await replay.fetch('http://127.0.0.1:1/n', { method: 'POST', body: JSON.stringify({ number }) })
    expect(await response.json()).toEqual({ of: { number }, filler })
  }
})

test('cut anywhere, a tape loses its last line and no other, and goes on', async () => {
  const folder = temporaryFolder()
  const exchange = (n: number) => {
    const request = { method: 'POST', path: '/x', headers: {}, json: { n, text: 'ä\n' } }
    const at = '2026-11-20T09:12:04.118Z'
    return lineOf({ at, request, status: 200, headers: {}, body: [`${n}`, { base64: 'ww==' }], end: 'whole', error: null })
  }
  const before = `${exchange(1)}\n${exchange(2)}\n`
  const whole = Buffer.from(`${before}${exchange(3)}\n`)
  const start = Buffer.byteLength(before)
  const step = NIGHTLY ? 1 : 17
  const cuts = [start, start + 1, whole.length - 2, whole.length - 1, whole.length]
  for (let at = start; at < whole.length; at += step) cuts.push(at)
  for (const at of cuts) {
    const file = join(folder, `${at}.jsonl`)
    writeFileSync(file, whole.subarray(0, at))
    const tape = await openTape(file, true)
    await tape.append(exchange(4))
    await tape.close()
    const { exchanges, problems, torn } = await readTape(file)
    const kept = at >= whole.length - 1 ? [1, 2, 3, 4] : [1, 2, 4]
    expect({ at, numbers: exchanges.map(({ request }) => (request.json as { n: number }).n), problems, torn }).toEqual({
      at,
      numbers: kept,
      problems: [],
      torn: null,
    })
    expect(tape.torn === null).toBe(at === start || at >= whole.length - 1)
  }
})

test('a recording that begins anew empties the tape; one that appends does not; a file that is no tape is left alone', async () => {
  const file = join(temporaryFolder(), 'a', 'tape.jsonl')
  const server = await serve(() => ({ body: ['{}'] }))
  const record = async (append: boolean) => {
    const recording = await recordingFetch({ file, append })
    await (await recording.fetch(`${server.url}/x`)).text()
    await recording.close()
    return (await readTape(file)).exchanges.length
  }
  expect([await record(true), await record(true), await record(false)]).toEqual([1, 2, 1])
  writeFileSync(file, '# notes\nof mine\n')
  await expect(recordingFetch({ file, append: true })).rejects.toMatchObject({ code: 'E_CASSETTE_INVALID' })
  expect([existsSync(file), statSync(file).size]).toEqual([true, 16])
})
