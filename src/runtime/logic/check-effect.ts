/** What the declaration of an effect says about time and retries, checked before anything runs: a deadline that is no number would never pass. */
import { type Deadlines, type EffectDeclaration, LOGIC_KINDS, type RetryPolicy } from '../../effect.ts'
import { invalid } from './check.ts'

/** @throws {UserError} `E_MACHINE_INVALID` naming the machine, the effect and the rule. */
export function checkDeclaration(machine: string, src: string, { kind, timeoutMs, deadlines = {}, retry }: EffectDeclaration): void {
  const refuse = (rule: string, fix: string): never => {
    throw invalid(machine, '(actors)', `the effect '${src}' ${rule}`, fix)
  }
  if ((LOGIC_KINDS as readonly string[]).includes(kind)) refuse(`is of kind '${kind}', which is taken`, "name its kind 'noun.verb'")
  // What is a function of the input is checked for each input, in births.ts.
  const wrong = wrongTiming({
    timeoutMs,
    deadlines: typeof deadlines === 'function' ? undefined : deadlines,
    retry: typeof retry === 'function' ? undefined : retry,
  })
  if (wrong !== null) refuse(wrong.rule, wrong.fix)
}

interface Timing {
  readonly timeoutMs?: number | undefined
  readonly deadlines?: Deadlines | undefined
  readonly retry?: RetryPolicy | undefined
}

const DEADLINES = ['startMs', 'firstMs', 'idleMs', 'totalMs']

/** The rule that times or retries break, and what mends it; null where they are sound. */
export function wrongTiming({ timeoutMs, deadlines = {}, retry }: Timing): { readonly rule: string; readonly fix: string } | null {
  for (const [name, value] of [['timeoutMs', timeoutMs], ...Object.entries(deadlines)] as const) {
    if (name !== 'timeoutMs' && !DEADLINES.includes(name))
      return { rule: `has a deadline '${name}'`, fix: `there are ${DEADLINES.join(', ')}` }
    if (value !== undefined && !(Number.isFinite(value) && Number(value) > 0))
      return { rule: `has ${name} ${String(value)}`, fix: 'give milliseconds above 0, or leave it out' }
  }
  return retry === undefined ? null : wrongRetry(retry)
}

function wrongRetry({ maxAttempts, baseDelayMs, maxDelayMs, exponentialBase }: RetryPolicy): { rule: string; fix: string } | null {
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1)
    return { rule: `has maxAttempts ${maxAttempts}`, fix: 'give a whole number from 1; 1 is no retry' }
  if (!Number.isFinite(exponentialBase) || exponentialBase < 1)
    return { rule: `has exponentialBase ${exponentialBase}`, fix: 'give a number from 1' }
  for (const [name, value] of Object.entries({ baseDelayMs, maxDelayMs })) {
    if (!Number.isFinite(value) || value < 0) return { rule: `has ${name} ${value}`, fix: 'give milliseconds from 0' }
  }
  return null
}
