/**
 * The entry: `npm run bench` measures everything but the long ones, `npm run bench -- steps pool` what is named. Each measurement runs in a process of
 * its own, so that none meets the heap or the compiled code of another. What the figures mean: docs/benchmarks.md.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { environment } from './environment.ts'
import type { Section } from './figure.ts'
import { headText, type Report, sectionText } from './report.ts'
import { MEASUREMENTS } from './suite.ts'

const USAGE = `usage: npm run bench -- [${MEASUREMENTS.map(({ name }) => name).join('|')}]... [--rounds N] [--scale F] [--actors N] [--dir DIR] [--json]`

const { positionals, values } = flags()
const chosen = MEASUREMENTS.filter(({ name, isLong }) => (positionals.length === 0 ? isLong !== true : positionals.includes(name)))
const options = {
  rounds: values.rounds === undefined ? null : positive('--rounds', values.rounds, Number.isInteger),
  scale: positive('--scale', values.scale, Number.isFinite),
  actors: values.actors === undefined ? null : positive('--actors', values.actors, Number.isInteger),
}

const on = environment(values.dir)
const sections: Section[] = []
if (!values.json) process.stdout.write(`${headText({ environment: on })}\n`)
for (const { name } of chosen) {
  const section = chosen.length === 1 ? await measured(name) : await measuredApart(name)
  sections.push(section)
  if (!values.json) process.stdout.write(`${sectionText(section)}\n`)
}
const report: Report = { schema: 'troupe.bench/1', environment: on, sections }
if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`)

async function measured(name: string): Promise<Section> {
  const { question, run } = MEASUREMENTS.find((each) => each.name === name)!
  const folder = mkdtempSync(join(values.dir, 'troupe-bench-'))
  try {
    return { measurement: name, question, cases: await run({ folder, ...options }) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measuredApart(name: string): Promise<Section> {
  const given = (['rounds', 'scale', 'actors', 'dir'] as const).flatMap((flag) => (values[flag] === undefined ? [] : [`--${flag}`, values[flag]]))
  const { stdout } = await promisify(execFile)(process.execPath, [import.meta.filename, name, '--json', ...given], { maxBuffer: 1e8 })
  return (JSON.parse(stdout) as Report).sections[0]!
}

function flags() {
  try {
    const parsed = parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        scale: { type: 'string', default: '1' },
        actors: { type: 'string' },
        dir: { type: 'string', default: tmpdir() },
        json: { type: 'boolean', default: false },
      },
    })
    const unknown = parsed.positionals.find((name) => !MEASUREMENTS.some((each) => each.name === name))
    return unknown === undefined ? parsed : usage(`${unknown}: there is no such measurement`)
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error))
  }
}

function positive(flag: string, text: string, holds: (number: number) => boolean): number {
  const number = Number(text)
  return number > 0 && holds(number) ? number : usage(`${flag} ${text}: a number above 0 is wanted`)
}

function usage(message: string): never {
  process.stderr.write(`${message}\n${USAGE}\n`)
  process.exit(2)
}
