/**
 * What adapters of providers are given as `fetch`: one that records, one that replays, or none, and then they use the network.
 *
 *   start    const seam = await openSeam({ record, replay, secrets })                      adapters: { fetch: seam.fetch }
 *   resume   const seam = await openSeam({ ...continued(metaOfTheRun, asked), secrets })   at the end: await seam.close()
 */
import type { Clock } from '../../runtime/clock.ts'
import { recordingFetch } from './record.ts'
import { replayFetch } from './replay.ts'
import type { Tape } from './tape.ts'

/** Which tape a run records on or answers from; one of both at most. Paths are absolute: a resume may come from another folder. */
export interface Tapes {
  readonly record?: { readonly file: string } | undefined
  readonly replay?: { readonly file: string; readonly strict: boolean } | undefined
}

export interface SeamOptions extends Tapes {
  /** The tape goes on after what is on it. Default false: it begins anew. */
  readonly append?: boolean | undefined
  readonly secrets?: readonly string[] | undefined
  readonly clock?: Pick<Clock, 'wallMs'> | undefined
}

export interface Seam {
  /** Undefined: nothing is recorded and nothing replayed. */
  readonly fetch: typeof fetch | undefined
  /** The same around a `fetch` that a provider brings along, such as one over a plain socket. A replay does not ask it. */
  readonly over: (base: typeof fetch) => typeof fetch
  /** Answers come from a tape: no model is asked, nothing is paid. */
  readonly isReplay: boolean
  /** What was cut off the end of the tape that is recorded on. */
  readonly torn: Tape['torn']
  /** Exchanges of the tape that nobody has asked for, by their numbers. */
  readonly unused: () => readonly number[]
  /** Resolves when everything is on the tape. @throws {Failure} `E_DISK_FULL`, `E_FILE_REFUSED`. */
  close(): Promise<void>
}

/** @throws {UserError} `E_CASSETTE_INVALID` (8). {Failure} `E_DISK_FULL`, `E_FILE_REFUSED`. */
export async function openSeam({ record, replay, append = false, secrets = [], clock }: SeamOptions): Promise<Seam> {
  const none = {
    fetch: undefined,
    over: (base: typeof fetch) => base,
    isReplay: false,
    torn: null,
    unused: () => [],
    close: async () => {},
  }
  if (replay !== undefined) {
    const tape = await replayFetch({ ...replay, secrets })
    return { ...none, ...tape, over: () => tape.fetch, isReplay: true }
  }
  if (record === undefined) return none
  return { ...none, ...(await recordingFetch({ ...record, append, secrets, clock })) }
}

/** The tapes of a run that is resumed: what is asked for now, else what it was started with. On its own tape it goes on. */
export function continued(started: Tapes, asked: Tapes): Tapes & { readonly append: boolean } {
  const { record, replay } = asked.record === undefined && asked.replay === undefined ? started : asked
  return { record, replay, append: record !== undefined && record.file === started.record?.file }
}
