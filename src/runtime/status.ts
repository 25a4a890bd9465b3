/** What an effect may become. One table guards the live append and the recovery alike. */
export type EffectStatus = 'owed' | 'started' | 'succeeded' | 'failed' | 'in_doubt' | 'cancelled'

export const NEXT: Readonly<Record<EffectStatus, readonly EffectStatus[]>> = {
  owed: ['started', 'cancelled', 'failed'],
  started: ['succeeded', 'failed', 'in_doubt', 'cancelled'], // A crash leaves `started`: the outcome was never learned.
  in_doubt: ['started', 'succeeded', 'failed'], // Only a probe, a policy or a person moves it.
  succeeded: [],
  failed: [],
  cancelled: [],
}

/** Effects whose side of the world is not settled yet. */
export const OPEN: readonly EffectStatus[] = ['owed', 'started', 'in_doubt']
