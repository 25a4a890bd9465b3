/**
 * The conformance cases as tests: `sup` makes one test of a case in each mode, under its id and name; `ours` one of what is different here on purpose.
 * Killed, a case must hold as it does in a process that lives on, and leave the same facts in the same order at the same instants.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Workers } from './code.ts'
import { MODES, type Mode, Stage, type Team } from './stage.ts'

export interface ConformanceCase {
  readonly id: string
  readonly name: string
  readonly setup: string
  readonly action: string
  readonly expected: string
}

export const CASES: readonly ConformanceCase[] = JSON.parse(
  readFileSync(join(import.meta.dirname, 'conformance', 'supervisor-cases.json'), 'utf8'),
).cases

export interface Play {
  readonly mode: Mode
  /** Sets a stage. */
  readonly set: (team: Team, workers?: Workers, options?: { readonly isChecked?: boolean }) => Promise<Stage>
}

type Body = (play: Play) => Promise<void>

/** A case of the list, in both modes. */
export function sup(id: string, body: Body): void {
  for (const [mode, title] of titlesOf(id)) test(title, () => perform(mode, body))
}

/** The titles of a case's tests, one a mode. */
export function titlesOf(id: string): (readonly [mode: Mode, title: string])[] {
  const found = CASES.find((each) => each.id === id)
  if (found === undefined) throw new Error(`there is no case ${id}`)
  return MODES.map((mode) => [mode, `${id}: ${found.name} (${mode})`])
}

/** Where our default is another than OTP's, or a promise goes further than the list: in both modes as well. */
export function ours(title: string, body: Body): void {
  for (const mode of MODES) test(`${title} (${mode})`, () => perform(mode, body))
}

/** Plays it in its mode; killed, it is played once more without, and what is on record must be the same. */
export async function perform(mode: Mode, body: Body): Promise<void> {
  const stages = await play(mode, body)
  if (mode === 'lives on') return
  const undisturbed = await play('lives on', body)
  expect(stages.map((stage) => stage.facts())).toEqual(undisturbed.map((stage) => stage.facts()))
  for (const stage of stages) expect(stage.deaths).toBeGreaterThan(0)
}

async function play(mode: Mode, body: Body): Promise<Stage[]> {
  const stages: Stage[] = []
  const set: Play['set'] = async (team, workers = {}, options = {}) => {
    const stage = await Stage.set(mode, team, workers, options)
    stages.push(stage)
    return stage
  }
  await body({ mode, set })
  return stages
}

/** A worker's spec. */
export const child = (id: string, more: object = {}) => ({ id, src: 'worker', ...more })
/** Workers of these ids, all alike. */
export const children = (ids: string, more: object = {}) => [...ids].map((id) => child(id, more))

/** The field that a refusal names; what comes instead of one. */
export async function fieldOf(start: Promise<unknown>): Promise<string> {
  const error = await start.then(
    () => ({ code: 'started' }),
    (thrown: { code?: string; details?: { field?: string } }) => thrown,
  )
  return error.code === 'E_TREE_INVALID' && 'details' in error ? (error.details?.field ?? 'no field') : String(error.code ?? error)
}
