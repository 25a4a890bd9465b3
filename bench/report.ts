/**
 * The report as text:
 *
 *   steps: what does a durable step cost beside raw better-sqlite3 that writes the same rows?
 *     64 actors, 64 sends in flight: 12288 steps in 192 commits
 *       ratio to raw                    0.71   0.66 to 0.78   goal: at least 0.7   met
 */
import type { environment } from './environment.ts'
import type { Figure, Section, Unit } from './figure.ts'

/** What is printed with `--json`. */
export interface Report {
  readonly schema: 'troupe.bench/1'
  readonly environment: ReturnType<typeof environment>
  readonly sections: readonly Section[]
}

export function headText({ environment: on }: Pick<Report, 'environment'>): string {
  return [
    `${on.at}  ${on.processor}, ${on.cores} cores, load ${on.load1m.toFixed(1)}, ${on.platform}, node ${on.node}, sqlite ${on.sqlite}`,
    'medians, and the range of single rounds in which both sides took turns; other processes may have run meanwhile',
    ...(on.tmpfs ? ['the folder is in memory (tmpfs): a sync costs nothing there, give --dir on a disk'] : []),
  ].join('\n')
}

export function sectionText({ measurement, question, cases }: Section): string {
  const lines = cases.flatMap(({ name, figures }) => {
    const width = Math.max(...figures.map((each) => each.name.length))
    return [`  ${name}`, ...figures.map((each) => `    ${figureText(each, width)}`), '']
  })
  return ['', `${measurement}: ${question}`, ...lines].join('\n').trimEnd()
}

function figureText({ name, unit, value, min, max, samples, goal, met }: Figure, width: number): string {
  const columns = [
    `${name.padEnd(width)}  ${amount(value, unit).padStart(12)} ${unit.padEnd(7)}`,
    (samples > 1 ? `${amount(min, unit)} to ${amount(max, unit)}` : '').padEnd(22),
    goal === null ? '' : `goal: at ${goal.at} ${amount(goal.value, unit)}  ${met ? 'met' : 'MISSED'}`,
  ]
  return columns.join('  ').trimEnd()
}

/** As many digits as the unit makes sense of. */
function amount(value: number, unit: Unit): string {
  if (unit === 'bytes' || unit === 'steps/s') return whole(value)
  if (unit === 'x') return value.toFixed(2)
  if (unit === '' && Number.isInteger(value)) return whole(value)
  return Math.abs(value) >= 1_000 ? whole(value) : value.toFixed(value !== 0 && Math.abs(value) < 1 ? 3 : 1)
}

function whole(number: number): string {
  return Math.round(number).toLocaleString('en-US')
}
