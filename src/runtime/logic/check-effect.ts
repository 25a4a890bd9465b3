/** What the declaration of an effect says about time and retries, checked before anything runs: a deadline that is no number would never pass. */
import { type EffectDeclaration, LOGIC_KINDS } from '../../effect.ts'
import { invalid } from './check.ts'

/** @throws {UserError} `E_MACHINE_INVALID` naming the machine, the effect and the rule. */
export function checkDeclaration(machine: string, src: string, { kind, timeoutMs, deadlines = {}, retry }: EffectDeclaration): void {
  const refuse = (rule: string, fix: string): never => {
    throw invalid(machine, '(actors)', `the effect '${src}' ${rule}`, fix)
  }
  if ((LOGIC_KINDS as readonly string[]).includes(kind)) refuse(`is of kind '${kind}', which is taken`, "name its kind 'noun.verb'")
  const known = ['startMs', 'firstMs', 'idleMs', 'totalMs']
  for (const [name, value] of [['timeoutMs', timeoutMs], ...Object.entries(deadlines)] as const) {
    if (name !== 'timeoutMs' && !known.includes(name)) refuse(`has a deadline '${name}'`, `there are ${known.join(', ')}`)
    if (value !== undefined && !(Number.isFinite(value) && Number(value) > 0))
      refuse(`has ${name} ${String(value)}`, 'give milliseconds above 0, or leave it out')
  }
  if (retry === undefined) return
  const { maxAttempts, baseDelayMs, maxDelayMs, exponentialBase } = retry
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1)
    refuse(`has maxAttempts ${maxAttempts}`, 'give a whole number from 1; 1 is no retry')
  if (!Number.isFinite(exponentialBase) || exponentialBase < 1) refuse(`has exponentialBase ${exponentialBase}`, 'give a number from 1')
  for (const [name, value] of Object.entries({ baseDelayMs, maxDelayMs })) {
    if (!Number.isFinite(value) || value < 0) refuse(`has ${name} ${value}`, 'give milliseconds from 0')
  }
}
