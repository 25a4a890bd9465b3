/**
 * The two streams. stdout carries the result and nothing else; everything for people goes to stderr.
 * A reader that went away (`| head`) ends the view, never the run: what is written afterwards is dropped.
 */
import { styleText } from 'node:util'
import type { Config, StreamLook } from '../config.ts'
import type { JsonObject } from '../json.ts'
import type { Look, Tone } from '../view/look.ts'

export interface Io {
  /** One line of the result. */
  out(line: string): void
  /** One line for the person. */
  err(line: string): void
  json(value: JsonObject): void
  readonly outLook: Look
  readonly errLook: Look
  /** Aborted when nobody reads stdout any more. */
  readonly outClosed: AbortSignal
}

const STYLES: Readonly<Record<Tone, 'green' | 'yellow' | 'red' | 'blue' | 'dim' | 'bold'>> = {
  good: 'green',
  attention: 'yellow',
  bad: 'red',
  address: 'blue',
  dim: 'dim',
  strong: 'bold',
}

const reader = new AbortController()
let failure: string | null = null

/** Listens for a reader that goes away, and for a disk that is full. Called once, before anything is written. */
export function guardStreams(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') failure ??= error.code ?? error.message
    reader.abort()
  })
  process.stderr.on('error', () => {})
}

/** Why stdout could not be written although somebody wanted it, such as `ENOSPC`; null where nothing was lost. */
export const outFailure = (): string | null => failure

/** The streams of this process, with the looks that the configuration gives them. */
export function openIo(config: Pick<Config, 'stdout' | 'stderr' | 'ascii'>, utc: boolean): Io {
  const out = (line: string): void => {
    if (!reader.signal.aborted) process.stdout.write(`${line}\n`)
  }
  return {
    out,
    err: (line) => void process.stderr.write(`${line}\n`),
    json: (value) => out(JSON.stringify(value)),
    outLook: lookOf(config.stdout, config.ascii, utc),
    errLook: lookOf(config.stderr, config.ascii, utc),
    outClosed: reader.signal,
  }
}

function lookOf({ color, width }: StreamLook, ascii: boolean, utc: boolean): Look {
  return {
    ascii,
    utc,
    width,
    paint: (tone, text) => (color && text !== '' ? styleText(STYLES[tone], text, { validateStream: false }) : text),
  }
}
