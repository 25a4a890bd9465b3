/** Asks a handler's probe what became of an effect. Its word is checked like any other: what is no verdict, late or thrown means that nobody knows. */
import { type EffectCall, type EffectHandler, Failure, type Verdict } from '../../../effect.ts'
import { Defect, errorData } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import type { Clock } from '../../clock.ts'
import type { Host } from '../../engine.ts'
import type { EffectRow } from '../../store.ts'
import { checked } from './performer.ts'

/** For a probe of an effect that names no time of its own. */
const PROBE_MS_MAX = 60_000

export interface ProbeOptions {
  readonly run: string
  readonly host: Host
  readonly clock: Clock
  thread(name: string): readonly Json[]
}

export async function probe(options: ProbeOptions, row: EffectRow): Promise<Verdict<Json | undefined>> {
  const controller = new AbortController()
  const late = Promise.withResolvers<never>()
  const limitMs = row.timeoutMs ?? PROBE_MS_MAX
  const cancel = options.clock.setTimer(limitMs, () => {
    const failure = new Failure('E_EFFECT_TIMEOUT', `the probe ran past ${limitMs} ms`)
    controller.abort(failure)
    late.reject(failure)
  })
  try {
    return await Promise.race([verdictOf(options, row, controller.signal), late.promise])
  } catch (thrown) {
    return { verdict: 'unknown', evidence: `the probe failed: ${errorData(thrown).message}` }
  } finally {
    cancel()
  }
}

async function verdictOf({ run, host, thread }: ProbeOptions, row: EffectRow, signal: AbortSignal): Promise<Verdict<Json | undefined>> {
  const { declaration, handler } = host.handler(row)
  const { prove } = handler as EffectHandler<Json, unknown>
  if (prove === undefined) return { verdict: 'unknown', evidence: 'its handler has no probe' }
  const about = { input: row.input, key: `${run}/${row.id}`, run, id: row.id, path: row.owner, attempt: row.attempt }
  const call: EffectCall<Json> = {
    ...about,
    signal,
    progress: () => {},
    started: () => {},
    alive: () => {},
    thread,
    spent: () => {},
    note: () => {},
  }
  const said: unknown = await prove(call)
  const { verdict, evidence, output } = (said ?? {}) as { verdict?: unknown; evidence?: unknown; output?: unknown }
  const words = typeof evidence === 'string' ? { evidence } : {}
  if (verdict === 'applied') return { verdict, output: checked(row, declaration.output.safeParse(output)), ...words }
  if (verdict === 'not_applied' || verdict === 'unknown') return { verdict, ...words }
  throw new Defect('E_EFFECT_OUTPUT', `it gave no verdict: ${JSON.stringify(said)?.slice(0, 80) ?? 'undefined'}`)
}
