/** The differential test finds what it is there for: each fault is planted in a host or a store, never in the engine, and must be found within a few cases. */
import { hash } from 'node:crypto'
import { asyncProperty, check, nat, pre, record, uniqueArray } from 'fast-check'
import { beforeEach, expect, test, vi } from 'vitest'
import type { EncodedSnapshot, StepResult } from '../../src/runtime/cell.ts'
import type { Image } from '../../src/runtime/store.ts'
import { build } from './build.ts'
import { diesBefore, expectSame } from './case.ts'
import { machines, plays } from './draw.ts'
import { folderForLives, underTroupe } from './hosted.ts'
import { underCreateActor } from './oracle.ts'

beforeEach(() => void vi.spyOn(console, 'warn').mockReturnValue())

/** What a host does to the results of steps, or a store to what is read when a tree is rehydrated. */
interface Fault {
  readonly step?: (result: StepResult) => StepResult
  readonly image?: (image: Image) => Image
}

const FAULTS: Readonly<Record<string, Fault>> = {
  'a dropped timer': { step: (result) => ({ ...result, timersSet: result.timersSet.slice(1) }) },
  'a timer lost at rehydration': { image: (image) => ({ ...image, timers: image.timers.slice(1) }) },
  'a timer that outlives its cancel': { step: (result) => ({ ...result, timersCleared: [] }) },
  'a doubled envelope': {
    step: (result) => ({ ...result, sends: result.sends.flatMap((send) => [send, { ...send, op: send.op + 0 }]) }),
  },
  'a lost envelope': { step: (result) => ({ ...result, sends: result.sends.slice(1) }) },
  'a lost history value': { step: (result) => ({ ...result, snapshot: withoutHistory(result.snapshot) }) },
  'two sends swapped': { step: (result) => ({ ...result, sends: swapped(result.sends) }) },
  "a child that outlives its state's exit": { step: (result) => ({ ...result, cellsStopped: [] }) },
  'a child lost at birth': { step: (result) => ({ ...result, cellsStarted: result.cellsStarted.slice(1) }) },
  'a system id lost at rehydration': { image: (image) => ({ ...image, systemIds: {} }) },
}

function withoutHistory(snapshot: StepResult['snapshot']): StepResult['snapshot'] {
  if (snapshot === 'unchanged' || !snapshot.json.includes('"historyValue"')) return snapshot
  const { historyValue: _, ...rest } = JSON.parse(snapshot.json)
  const json = JSON.stringify(rest)
  return { ...snapshot, json, hash: hash('sha256', json, 'hex') } satisfies EncodedSnapshot
}

/** The first two to one receiver change places. */
function swapped(sends: StepResult['sends']): StepResult['sends'] {
  const second = sends.findIndex((send, index) =>
    sends.slice(0, index).some((other) => other.to === send.to && other.event.type !== send.event.type),
  )
  if (second === -1) return sends
  const first = sends.findIndex((send) => send.to === sends[second]!.to)
  return sends.with(first, { ...sends[second]!, op: sends[first]!.op }).with(second, { ...sends[first]!, op: sends[second]!.op })
}

const CASES_MAX = 400

test.each(Object.entries(FAULTS))('%s is found', { timeout: 600_000 }, async (name, fault) => {
  const folder = folderForLives()
  const result = await check(
    asyncProperty(
      record({ machine: machines, plays, kills: uniqueArray(nat(6), { minLength: 1, maxLength: 3 }) }),
      async ({ machine, plays: script, kills }) => {
        const expected: string[] = []
        const oracle = underCreateActor(build(machine, expected), expected, script)
        pre(typeof oracle !== 'string')
        if (typeof oracle === 'string') return
        const trace: string[] = []
        const options = { folder, turnStepsMax: 256, diesBefore: diesBefore(kills), ...fault }
        expectSame({ plays: script }, await underTroupe(build(machine, trace), trace, script, options), oracle)
      },
    ),
    { numRuns: CASES_MAX, maxSkipsPerRun: 20, endOnFailure: true },
  )
  process.stderr.write(`planted: ${name} is found after ${result.numRuns} cases (seed ${result.seed})\n`)
  expect({ name, found: result.failed, by: (result.errorInstance as Error | null)?.name }).toEqual({
    name,
    found: true,
    by: 'AssertionError',
  })
})
