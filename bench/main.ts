/**
 * The entry: `npm run bench` measures everything but the long ones, `npm run bench -- steps pool` what is named. Of several, each runs in a process of its
 * own, so that none meets the heap or the compiled code of another. What the figures mean: docs/benchmarks.md.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { environment } from './environment.ts'
import type { Measurement, Section } from './figure.ts'
import { type Flags, parseFlags } from './flags.ts'
import { headText, type Report, sectionText } from './report.ts'
import { MEASUREMENTS } from './suite.ts'

const NAMES = MEASUREMENTS.map(({ name }) => name)
const USAGE = `usage: npm run bench -- [${NAMES.join('|')}]... [--rounds N] [--scale F] [--actors N] [--dir DIR] [--json]`

const flags = parsed()
const chosen = MEASUREMENTS.filter(({ name, isLong }) => (flags.names.length === 0 ? isLong !== true : flags.names.includes(name)))
const on = environment(flags.dir)
if (!flags.json) process.stdout.write(`${headText({ environment: on })}\n`)
const sections: Section[] = []
for (const measurement of chosen) {
  const section = chosen.length === 1 ? await measured(measurement) : await measuredApart(measurement)
  if (!flags.json) process.stdout.write(`${sectionText(section)}\n`)
  sections.push(section)
}
if (flags.json) process.stdout.write(`${JSON.stringify({ schema: 'troupe.bench/1', environment: on, sections } satisfies Report)}\n`)

function parsed(): Flags {
  try {
    return parseFlags(process.argv.slice(2), NAMES)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${USAGE}\n`)
    process.exit(2)
  }
}

async function measured({ name, question, run }: Measurement): Promise<Section> {
  const folder = mkdtempSync(join(flags.dir, 'troupe-bench-'))
  try {
    return { measurement: name, question, cases: await run({ ...flags, folder }) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measuredApart({ name }: Measurement): Promise<Section> {
  const given = (['rounds', 'scale', 'actors', 'dir'] as const).flatMap((flag) =>
    flags[flag] === null ? [] : [`--${flag}`, `${flags[flag]}`],
  )
  const { stdout } = await promisify(execFile)(process.execPath, [import.meta.filename, name, '--json', ...given], { maxBuffer: 1e8 })
  return (JSON.parse(stdout) as Report).sections[0]!
}
