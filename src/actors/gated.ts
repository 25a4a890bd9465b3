/**
 * A handler of model calls behind the gates: let in before it starts, and its outcome told to the gate, so that the next ones are let in as they should be.
 *
 *   createTroupe({ effects: { 'llm.generate': gatedBy(gates, generating({ providers })) } })
 *
 * The gate changes no result. Only a call that has another model to ask, of a provider that is known to be down, is refused without being made.
 */
import { type EffectCall, type EffectHandler, Failure } from '../effect.ts'
import type { GenerateInput } from '../machines/effects.ts'
import type { GateFailure } from '../machines/provider-gate.ts'
import type { Gates } from './provider-gate.ts'

/** The same handler behind these gates. A pause that a call has brought about is noted with its outcome: `provider.paused`. */
export function gatedBy<Output>(gates: Gates, handler: EffectHandler<GenerateInput, Output>): EffectHandler<GenerateInput, Output> {
  return {
    ...handler,
    admit: gates.admit,
    perform: async (call) => {
      // As the engine has made it, see AdmissionRequest.
      const ticket = `${call.key}#${call.attempt}`
      const refusal = gates.refusal(ticket)
      if (refusal !== null) throw new Failure(refusal.code, refusal.message)
      try {
        const output = await handler.perform(call)
        gates.succeeded(ticket)
        return output
      } catch (error) {
        tell(gates, ticket, call, error)
        throw error
      }
    },
  }
}

function tell(gates: Gates, ticket: string, call: EffectCall<GenerateInput>, error: unknown): void {
  const pause = gates.failed(ticket, failureOf(error, call.signal))
  if (pause === null) return
  const { provider, reason, group, untilMs } = pause
  call.note('provider.paused', { provider, reason, group, untilAt: untilMs })
}

/** What an aborted call says is of the abort: that its time was up is the engine's word, and that it is not wanted any more says nothing of the provider. */
function failureOf(error: unknown, signal: AbortSignal): GateFailure {
  const cause: unknown = signal.aborted ? signal.reason : error
  if (!(cause instanceof Failure)) return { code: 'E_DEFECT', retry: 'never' }
  return { code: cause.code, retry: cause.retry, retryAfterMs: cause.retryAfterMs }
}
