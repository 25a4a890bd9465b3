/**
 * One fact as one line, live or from the journal:
 *
 *   09:13:58.024 effect.started   /team/coder-2      id=e211 kind=git.commit attempt=1
 *
 * Values with spaces are quoted. What is long is cut; the whole of it is in `--jsonl`.
 */
import type { Json } from '../json.ts'
import type { Frame } from '../runtime/engine.ts'
import { clockTime, count, cutEnd, duration, pad, printable, shortHash } from './format.ts'
import type { Look, Tone } from './look.ts'

/** What plain progress and plain `logs` show; everything else needs `-v` or a `--type`. */
// biome-ignore format: one family a line or two
export const NOTEWORTHY: ReadonlySet<string> = new Set([
  'run.started', 'run.resumed', 'run.drained', 'run.suspended', 'run.interrupted', 'run.limited', 'run.quarantined', 'run.finished',
  'actor.started', 'actor.crashed', 'actor.restarted', 'actor.stopped', 'actor.migrated', 'machine.changed', 'health.changed',
  'supervisor.gave_up', 'loop.detected', 'problem.escalated', 'message.buried',
  'effect.failed', 'effect.proved', 'effect.parked', 'effect.settled', 'retry.scheduled', 'action.failed',
  'model.switched', 'provider.paused', 'context.compacted', 'limit.reached', 'limit.raised',
  'work.accepted', 'work.rejected', 'work.assigned', 'work.finished', 'review.given',
  'write.refused', 'gate.passed', 'gate.failed', 'change.promoted', 'change.undone',
  'approval.requested', 'approval.granted', 'approval.denied',
])

/** Which fields are worth a line, in order, where not all are. */
const SHOWN: Readonly<Record<string, readonly string[]>> = {
  'run.started': ['run', 'name', 'pid'],
  'run.resumed': ['run', 'from', 'epoch', 'openEffects', 'timersOverdue', 'mail', 'crashes'],
  'run.quarantined': ['crashes', 'periodMs', 'path', 'state'],
  'run.finished': ['status', 'reason'],
  'run.suspended': ['status', 'pending', 'reason'],
  'run.interrupted': ['status', 'reason', 'openEffects'],
  'run.limited': ['status', 'reason', 'openEffects'],
  'actor.started': ['machine', 'version'],
  'actor.crashed': ['code', 'state', 'event', 'message'],
  'actor.restarted': ['reason', 'from', 'count', 'max', 'backoffMs'],
  'actor.migrated': ['machine', 'from', 'to'],
  'machine.changed': ['machine', 'from', 'to', 'verdict', 'actors', 'differences'],
  'step.committed': ['event', 'from', 'to', 'sends', 'durationUs'],
  'effect.owed': ['id', 'kind', 'policy', 'timeoutMs'],
  'effect.started': ['id', 'kind', 'attempt'],
  'effect.succeeded': ['id', 'kind', 'durationMs'],
  'effect.failed': ['id', 'kind', 'code', 'message', 'retry'],
  'effect.proved': ['id', 'kind', 'verdict', 'evidence'],
  'retry.scheduled': ['effect', 'kind', 'attempt', 'maxAttempts', 'delayMs', 'code'],
}
const HASHES = new Set(['tree', 'hash', 'before'])
const TOKENS = new Set(['tokens', 'inputTokens', 'outputTokens', 'spent', 'reserved', 'worst', 'limit'])
const VALUE_COLUMNS = 100

/** A fact as a line. `run` is shown where the fact is about the run itself. */
export function frameLine(frame: Frame, look: Look, run: string = frame.run): string {
  const time = look.paint('dim', clockTime(Date.parse(frame.at), look.utc))
  const tone = toneOf(frame)
  const type = pad(frame.type, 16)
  const path = pad(pathOf(frame), 18)
  const values = fieldsOf(frame, run)
  return `${time} ${tone === null ? type : look.paint(tone, type)} ${look.paint('address', path)} ${values}`.trimEnd()
}

/** `/team/coder-2#2`, or `-` for the run itself. */
function pathOf(frame: Pick<Frame, 'path' | 'inc'>): string {
  if (frame.path === null) return '-'
  return frame.inc !== null && frame.inc > 1 ? `${frame.path}#${frame.inc}` : frame.path
}

/** Does a type fit a pattern where `*` stands for anything? */
export function matchesGlob(glob: string, type: string): boolean {
  const parts = glob.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(type)
}

/** Is the frame about this actor: a whole address, or the last part of one, with `#3` for one of its lives? */
export function isAbout(frame: Pick<Frame, 'path' | 'inc'>, actor: string): boolean {
  const [address = '', life] = actor.split('#')
  if (frame.path === null || (life !== undefined && frame.inc !== Number(life))) return false
  return frame.path === address || (!address.startsWith('/') && frame.path.endsWith(`/${address}`))
}

/** A reason to end, in a word: its code, its kind. */
export function reasonWord(reason: Json | undefined): string {
  if (typeof reason === 'string') return reason
  if (typeof reason !== 'object' || reason === null) return ''
  const { kind, code, error, detail } = reason as { kind?: string; code?: string; error?: { code?: string }; detail?: string }
  return code ?? error?.code ?? (kind === 'shutdown' && detail !== undefined && detail !== 'ordered' ? `shutdown:${detail}` : (kind ?? ''))
}

function fieldsOf(frame: Frame, run: string): string {
  const data: Frame['data'] = frame.path === null ? { run, ...frame.data } : frame.data
  const keys = SHOWN[frame.type] ?? Object.keys(frame.data)
  return keys.flatMap((key) => field(key, data[key])).join(' ')
}

function field(key: string, value: Json | undefined): readonly string[] {
  if (value === null || value === undefined) return []
  if (key === 'reason') return reasonWord(value) === '' ? [] : [`reason=${reasonWord(value)}`]
  if (Array.isArray(value)) return value.length === 0 ? [] : [`${key}=${quoted(value.map(word).join(','))}`]
  if (typeof value === 'object') return []
  if (typeof value === 'number' && key.endsWith('Ms')) return [`${key.slice(0, -2)}=${duration(value)}`]
  if (typeof value === 'number' && TOKENS.has(key)) return [`${key}=${count(value)}`]
  if (typeof value === 'string' && HASHES.has(key)) return [`${key}=${shortHash(value)}`]
  return [`${key}=${quoted(String(value))}`]
}

function word(value: Json): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function quoted(text: string): string {
  const cut = cutEnd(printable(text), VALUE_COLUMNS)
  return cut === '' || /[\s"=]/.test(cut) ? JSON.stringify(cut) : cut
}

function toneOf({ type, data }: Frame): Tone | null {
  if (
    /\.(crashed|failed|gave_up|buried|rejected|refused|quarantined)$/.test(type) ||
    (type === 'run.finished' && data['status'] !== 'succeeded')
  )
    return 'bad'
  if (/\.(restarted|parked|suspended|interrupted|limited|reached|scheduled|detected|requested)$/.test(type)) return 'attention'
  return /\.(finished|passed|promoted|granted)$/.test(type) ? 'good' : null
}
