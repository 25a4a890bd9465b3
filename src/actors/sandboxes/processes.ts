/**
 * The processes of this machine as Linux shows them in /proc, and the end of those that are ours.
 *
 *   ours = tagged in their environment, or in the group or session of one that is, or descended from one that is
 *
 * Tags find children that left their group (setsid, daemons); groups find children that cleared their environment. A process that did both and was
 * adopted by init is not found. Never found: this process, its ancestors, zombies, and whatever another user's processes hide.
 */
import { readdirSync, readFileSync } from 'node:fs'

export interface Process {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly session: number
  /** Milliseconds since 1970, to about 10 ms. */
  readonly startedAt: number
}

/** Between two looks while processes end. */
const LOOK_MS = 20
/** After SIGKILL: a process that stays longer hangs in the kernel. */
const KILLED_MS_MAX = 30_000
/** Ticks per second of the times in /proc, on every Linux that Node runs on. */
const TICKS = 100

/** The processes at one moment. */
export interface ProcessTable {
  /** Without this process, its ancestors, and zombies. Empty where there is no /proc. */
  readonly all: readonly Process[]
  /** Groups and sessions of this process and its ancestors: their members are no kin of anybody. */
  readonly shielded: ReadonlySet<number>
}

/** Reads /proc once. */
export function processTable(): ProcessTable {
  const bootedAt = bootTime()
  if (bootedAt === null) return { all: [], shielded: new Set() }
  const all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (readProcess(Number(name), bootedAt) ?? []) : []))
  const byPid = new Map(all.map((each) => [each.pid, each]))
  const above = new Set<Process>()
  for (let at = byPid.get(process.pid); at !== undefined && !above.has(at); at = byPid.get(at.parent)) above.add(at)
  return { all: all.filter((each) => !above.has(each)), shielded: new Set([...above].flatMap((each) => [each.group, each.session])) }
}

/** The environment with which a process was started; empty where it is hidden or gone. */
export function environmentOf(pid: number): ReadonlyMap<string, string> {
  const pairs = readProc(`${pid}/environ`).split('\0')
  return new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))
}

/** Program and arguments, with blanks between them; empty where it is hidden or gone. */
export function commandOf(pid: number): string {
  return readProc(`${pid}/cmdline`).split('\0').join(' ').trim()
}

/** The processes that fit, those in their groups and sessions, and the descendants of all of them. */
export function withKin({ all, shielded }: ProcessTable, fits: (each: Process) => boolean): readonly Process[] {
  const ours = new Map(all.filter(fits).map((each) => [each.pid, each]))
  const bands = new Set([...ours.values()].flatMap((each) => [each.group, each.session]).filter((band) => !shielded.has(band)))
  for (let before = -1; before !== ours.size; ) {
    before = ours.size
    for (const each of all) if (ours.has(each.parent) || bands.has(each.group) || bands.has(each.session)) ours.set(each.pid, each)
  }
  return [...ours.values()]
}

/**
 * Ends the processes that `find` sees, SIGTERM first, SIGKILL after `graceMs`, and waits until it sees none. Looks again each time, so that children
 * which are started meanwhile are ended too. Gives all that were seen. Rejects when one survives SIGKILL for 30 s.
 */
export async function endAll(find: () => readonly Process[], graceMs: number): Promise<readonly Process[]> {
  const seen = new Map<number, Process>()
  const asked = new Set<number>()
  const began = performance.now()
  for (let left = find(); left.length > 0; left = find()) {
    const waitedMs = performance.now() - began
    if (waitedMs > graceMs + KILLED_MS_MAX) throw new Error(`processes survive SIGKILL: ${left.map((each) => each.pid).join(', ')}`)
    for (const each of left) {
      seen.set(each.pid, each)
      if (waitedMs >= graceMs) signalProcess(each.pid, 'SIGKILL')
      else if (!asked.has(each.pid)) signalProcess(each.pid, 'SIGTERM')
      asked.add(each.pid)
    }
    await pause(LOOK_MS)
  }
  return [...seen.values()]
}

/** Waits on the host's clock. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Sends a signal. That a process (or a group, negative) is gone, or is not ours to end, shows at the next look. */
function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}

/** Is anything left in this process group? For hosts without /proc. */
export function groupLives(group: number): boolean {
  try {
    process.kill(-group, 0)
    return true
  } catch {
    return false
  }
}

/** Milliseconds of processor time that a process has used, with its children that have ended; 0 where it is hidden or gone. */
export function cpuMsOf(pid: number): number {
  const stat = readProc(`${pid}/stat`)
  const ticks = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
  return (ticks.reduce((sum, each) => sum + Number(each), 0) * 1_000) / TICKS
}

/** Fields of `/proc/<pid>/stat` (proc(5)); the name in brackets may hold anything. Null for zombies and for what is gone. */
function readProcess(pid: number, bootedAt: number): Process | null {
  const stat = readProc(`${pid}/stat`)
  const [state, parent, group, session, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (stat === '' || state === 'Z' || state === 'X') return null
  const startedAt = Math.round(bootedAt + (Number(rest[15]) * 1_000) / TICKS)
  return { pid, parent: Number(parent), group: Number(group), session: Number(session), startedAt }
}

function bootTime(): number | null {
  const line = /^btime (\d+)$/m.exec(readProc('stat'))
  return line === null ? null : Number(line[1]) * 1_000
}

function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    return '' // Gone meanwhile, another user's, or no Linux.
  }
}
