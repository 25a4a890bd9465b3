/**
 * How text looks on this screen: symbols, tree lines, colour. Colour only repeats what a word says; every symbol has an ASCII twin.
 * The look is data given from outside, so that the same lines go to a terminal, a file and a browser.
 */

/** `good` green, `attention` yellow, `bad` red, `address` blue, `dim` detail, `strong` bold. */
export type Tone = 'good' | 'attention' | 'bad' | 'address' | 'dim' | 'strong'

export interface Look {
  /** Symbols and tree lines in ASCII. */
  readonly ascii: boolean
  /** Clock times in UTC instead of the local zone. */
  readonly utc: boolean
  /** Columns of the screen, within 60 and 120; null where nothing is cut: a file, a pipe. */
  readonly width: number | null
  readonly paint: (tone: Tone, text: string) => string
}

/** No colour, no limit, UTC: for files and tests. */
export const PLAIN: Look = { ascii: false, utc: true, width: null, paint: (_tone, text) => text }

/** How a run stands, as people see it. `crashed` is read off a running run that nobody owns. */
export type Standing = 'running' | 'succeeded' | 'failed' | 'suspended' | 'limited' | 'interrupted' | 'crashed' | 'quarantined' | 'canceled'

/** How an actor stands. */
export type Acting = 'working' | 'waiting' | 'restarting' | 'done' | 'crashed' | 'stopped' | 'in_doubt'

type Mark = readonly [symbol: string, ascii: string, tone: Tone]

const RUN_MARKS: Readonly<Record<Standing, Mark>> = {
  running: ['●', '*', 'good'],
  succeeded: ['✓', '+', 'good'],
  failed: ['✗', 'x', 'bad'],
  suspended: ['‖', '=', 'attention'],
  limited: ['‖', '=', 'attention'],
  interrupted: ['■', '#', 'attention'],
  crashed: ['✗', 'x', 'bad'],
  quarantined: ['⊘', '!', 'bad'],
  canceled: ['■', '#', 'dim'],
}

const ACTOR_MARKS: Readonly<Record<Acting, Mark>> = {
  working: ['●', '*', 'good'],
  waiting: ['○', 'o', 'dim'],
  restarting: ['↻', '~', 'attention'],
  done: ['✓', '+', 'good'],
  crashed: ['✗', 'x', 'bad'],
  stopped: ['■', '#', 'dim'],
  in_doubt: ['?', '?', 'attention'],
}

/** One column: the symbol of a run's standing. */
export const runMark = (standing: Standing, look: Look): string => mark(RUN_MARKS[standing], look)

/** One column: the symbol of an actor's standing. */
export const actorMark = (acting: Acting, look: Look): string => mark(ACTOR_MARKS[acting], look)

/** The colour that goes with a run's standing. */
export const runTone = (standing: Standing): Tone => RUN_MARKS[standing][2]

function mark([symbol, ascii, tone]: Mark, look: Look): string {
  return look.paint(tone, look.ascii ? ascii : symbol)
}

/** Three columns in front of a child, and what continues below it. */
export function branch(last: boolean, look: Look): { readonly own: string; readonly below: string } {
  if (look.ascii) return last ? { own: '\\- ', below: '   ' } : { own: '|- ', below: '|  ' }
  return last ? { own: '└─ ', below: '   ' } : { own: '├─ ', below: '│  ' }
}
