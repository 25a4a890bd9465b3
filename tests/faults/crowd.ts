/** Starts a crowd of processes on one store, lets them go at once, and gathers what they say. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const CHILD = fileURLToPath(new URL('./crowd.child.ts', import.meta.url))

export interface Member {
  readonly run?: string
  readonly status?: string
  readonly output?: unknown
  /** Positions of acknowledged events that its journal does not have. */
  readonly lost?: readonly number[]
  readonly failed?: string
  readonly message?: string
  /** Milliseconds until each call was acknowledged. */
  readonly waits: readonly number[]
}

/**
 * @param events  how many each of them sends to a run of its own, one after the other.
 * @param env  what each process is given beside its own environment.
 */
export async function crowd(
  path: string,
  size: number,
  events: number,
  env: Readonly<Record<string, string>> = {},
): Promise<{ members: readonly Member[]; tookMs: number }> {
  const children = Array.from({ length: size }, (_, index) => {
    const child = spawn(process.execPath, ['--no-warnings', CHILD, path, `run-${index}`, String(events)], {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const said = async (): Promise<object> =>
      JSON.parse(String((await lines.next()).value ?? '{"failed":"it ended without a word","waits":[]}'))
    return { child, said }
  })
  const ready = await Promise.all(children.map(({ said }) => said()))
  const early = ready.filter((word): word is Member => 'failed' in word)
  if (early.length > 0) return { members: early, tookMs: 0 }
  const from = performance.now()
  for (const { child } of children) child.stdin.write('go\n')
  const members = (await Promise.all(children.map(({ said }) => said()))) as Member[]
  return { members, tookMs: performance.now() - from }
}

/** p50, p99 and the longest, in milliseconds. */
export function waitsOf(members: readonly Member[]): string {
  const waits = members.flatMap((member) => member.waits).sort((a, b) => a - b)
  const at = (part: number): string => (waits[Math.min(waits.length - 1, Math.floor(waits.length * part))] ?? Number.NaN).toFixed(1)
  return `waits p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`
}
