/**
 * Ctrl-C and SIGTERM. The first one asks the run to stop and be saved; the second one ends it.
 *
 *   SIGINT  -> 130, "after Ctrl-C"          SIGTERM -> 143, "after SIGTERM"
 */
import type { ErrorData } from '../errors.ts'

export type StopSignal = 'SIGINT' | 'SIGTERM'

const EXITS: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 }

/** The exit code of a command that a signal has stopped. */
export const exitAfter = (signal: StopSignal): number => EXITS[signal]

/** Why a run stands, after a signal. */
export function interruption(signal: StopSignal): ErrorData {
  return { code: 'E_INTERRUPTED', message: signal === 'SIGINT' ? 'after Ctrl-C' : 'after SIGTERM', signal, exit: EXITS[signal] }
}

/** Calls `first` once, then `second` at each further signal, with the signal that came first. @returns how to stop listening. */
export function onSignals(handlers: { first(signal: StopSignal): void; second(first: StopSignal): void }): () => void {
  let received: StopSignal | null = null
  const listen = (signal: StopSignal) => (): void => {
    if (received === null) {
      received = signal
      handlers.first(signal)
    } else handlers.second(received)
  }
  const listeners = { SIGINT: listen('SIGINT'), SIGTERM: listen('SIGTERM') }
  process.on('SIGINT', listeners.SIGINT)
  process.on('SIGTERM', listeners.SIGTERM)
  return () => {
    process.off('SIGINT', listeners.SIGINT)
    process.off('SIGTERM', listeners.SIGTERM)
  }
}
