/**
 * Quantities in words, the same on every screen.
 *
 *   durations  840ms 4.2s 3m12s 2h05m 3d04h      counts  312 1.1k 4.49M
 *   money      $0.0123 $12.40 $? local simulated  bytes   4.1 kB 212 MB       times  09:12:04.118, 2m ago
 */
import type { Usage } from '../effect.ts'
import { basisOf, type CostBasis } from '../usage.ts'

/** A length of time, from milliseconds. Never more than two units; below a minute one decimal. */
export function duration(ms: number): string {
  const whole = Math.max(0, Math.round(ms))
  if (whole < 1_000) return `${whole}ms`
  const tenths = Math.round(whole / 100)
  if (tenths < 600) return `${(tenths / 10).toFixed(1)}s`
  const seconds = Math.round(whole / 1_000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${twoDigits(seconds % 60)}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1_440) return `${Math.floor(minutes / 60)}h${twoDigits(minutes % 60)}m`
  const hours = Math.floor(minutes / 60)
  return `${Math.floor(hours / 24)}d${twoDigits(hours % 24)}h`
}

/** The same of a duration that somebody has chosen: `10m`, not `10m00s`. */
export const roundDuration = (ms: number): string => duration(ms).replace(/(?<=[dhm])00[hms]$|\.0(?=s$)/, '')

/** How long ago, from milliseconds, in one unit: `0.8s ago`, `14s ago`, `2m ago`. */
export function ago(ms: number): string {
  const seconds = Math.max(0, ms) / 1_000
  if (seconds < 9.95) return `${seconds.toFixed(1)}s ago`
  if (seconds < 59.5) return `${Math.round(seconds)}s ago`
  const minutes = Math.max(1, Math.floor(seconds / 60))
  if (minutes < 60) return `${minutes}m ago`
  const hours = Math.floor(minutes / 60)
  return hours < 24 ? `${hours}h ago` : `${Math.floor(hours / 24)}d ago`
}

/** A number of things: whole below a thousand, then three digits or so. */
export function count(n: number): string {
  if (n < 1_000) return String(n)
  if (Math.round(n / 100) < 10_000) return `${trim((n / 1_000).toFixed(1))}k`
  return `${trim((n / 1_000_000).toFixed(2))}M`
}

/** A size, in steps of 1000. */
export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let size = n
  let unit = 0
  while (unit < units.length - 1 && Math.round(size * 10) >= 10_000) {
    size /= 1_000
    unit++
  }
  return `${unit === 0 || size >= 99.95 ? Math.round(size) : trim(size.toFixed(1))} ${units[unit]}`
}

/** Dollars: four decimals below a dollar. An unknown price is `$?`, never `$0`. */
export function money(usd: number | null, basis: CostBasis): string {
  if (basis === 'simulated' || basis === 'local') return basis
  if (usd === null) return '$?'
  return `$${usd < 1 ? usd.toFixed(4) : usd.toFixed(2)}`
}

/** Of what was used, where does its price come from? */
export function costBasis(usage: Pick<Usage, 'costUsd' | 'simulated' | 'local'> & { readonly costBasis?: CostBasis }): CostBasis {
  return usage.simulated === true ? 'simulated' : (usage.costBasis ?? basisOf(usage))
}

/** `09:12:04.118`. */
export function clockTime(atMs: number, utc: boolean): string {
  const at = new Date(atMs)
  if (utc) return at.toISOString().slice(11, 23)
  return `${[at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(':')}.${String(at.getMilliseconds()).padStart(3, '0')}`
}

/** For JSON: UTC with milliseconds. */
export const iso = (atMs: number): string => new Date(atMs).toISOString()

/** `1 effect`, `2 effects`. */
export const plural = (n: number, noun: string): string => `${count(n)} ${noun}${n === 1 ? '' : 's'}`

/** First seven characters. */
export const shortHash = (hash: string): string => hash.slice(0, 7)

/** The first eight characters of a run's id, or as many more as tell it from the others. */
export function shortRun(run: string, others: Iterable<string> = []): string {
  let length = 8
  for (const other of others) {
    while (other !== run && length < run.length && other.startsWith(run.slice(0, length))) length++
  }
  return run.slice(0, length)
}

/** A sentence, cut at its end. `null` cuts nothing. */
export function cutEnd(text: string, columns: number | null, ellipsis = '…'): string {
  const letters = [...text]
  if (columns === null || letters.length <= columns) return text
  return letters.slice(0, Math.max(0, columns - ellipsis.length)).join('') + ellipsis
}

/** An address, cut in its middle: both ends say most. */
export function cutMiddle(text: string, columns: number | null, ellipsis = '…'): string {
  const letters = [...text]
  if (columns === null || letters.length <= columns) return text
  const kept = Math.max(0, columns - ellipsis.length)
  const head = Math.ceil(kept / 2)
  return letters.slice(0, head).join('') + ellipsis + letters.slice(letters.length - (kept - head)).join('')
}

const [ESC, BEL] = [String.fromCharCode(0x1b), String.fromCharCode(0x07)]
/** CSI and OSC sequences (ECMA-48 5.4, xterm); what is left of controls after them but tab and line feed. */
const SEQUENCES = new RegExp(`${ESC}(?:\\[[0-?]*[ -/]*[@-~]|\\][^${BEL}${ESC}]*(?:${BEL}|${ESC}\\\\)?)`, 'g')
const CONTROLS = /[^\P{Cc}\t\n]/gu

/** What models, commands and tasks wrote, without what would move the cursor, colour the screen or ring: only our own colours reach a terminal. */
export const printable = (text: string): string => text.replace(SEQUENCES, '').replace(CONTROLS, '')

/** Columns that a text takes. */
export const columnsOf = (text: string): number => [...text].length

/** Filled up with spaces at its end, or before it. */
export function pad(text: string, columns: number, side: 'end' | 'start' = 'end'): string {
  const space = ' '.repeat(Math.max(0, columns - columnsOf(text)))
  return side === 'end' ? text + space : space + text
}

function twoDigits(n: number): string {
  return String(n).padStart(2, '0')
}

function trim(decimal: string): string {
  return decimal.includes('.') ? decimal.replace(/\.?0+$/, '') : decimal
}
