/** Questions to a provider that nobody waits long for: what `models` and `auth status --online` ask. */
import { Failure } from '../effect.ts'

/** Milliseconds. */
const PROBE_MS = 2_000

/** What is asked, or a {@link Failure} `E_PROVIDER_TIMEOUT` after 2 s, whether it hears of the abort or not. */
export async function within<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(PROBE_MS)
  const late = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Failure('E_PROVIDER_TIMEOUT', `no answer within ${PROBE_MS} ms`)), { once: true })
  })
  return Promise.race([ask(signal), late])
}
