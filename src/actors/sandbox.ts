/**
 * The port for running commands. A command gets a process group of its own, no stdin, an environment made from an allow-list, and three tags by which
 * every process that descends from it is found again: TROUPE_RUN, TROUPE_EFFECT and TROUPE_COMMAND. It is over when all of these processes are gone.
 */

/** Environment names of the tags. Commands pass them on to their children; whoever reaps after a crash looks for them. */
export const RUN_TAG = 'TROUPE_RUN'
export const EFFECT_TAG = 'TROUPE_EFFECT'
/** Unique. Whoever ends a command ends no later attempt of its effect, which may be another process's: it took the run over. */
export const COMMAND_TAG = 'TROUPE_COMMAND'

/** What a command sees of our environment. No other variable is inherited, so no key or token is. */
export const ENV_ALLOWED: readonly string[] = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', 'TMPDIR']

/** Default of `outputBytesMax`. */
export const OUTPUT_BYTES_MAX = 64_000
/** Default of `graceMs`: between SIGTERM and SIGKILL. */
export const GRACE_MS = 2_000

export interface CommandOptions {
  /** Text for `sh -c`, or a program with its arguments. */
  readonly command: string | readonly string[]
  readonly cwd: string
  /** Names that are passed on beside {@link ENV_ALLOWED}. */
  readonly envAllow?: readonly string[] | undefined
  /** Variables that are set. The tags cannot be. */
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly run: string
  /** Effect id, unique in its run. */
  readonly effect: string
  /** From the start of the command. Default: none. */
  readonly timeoutMs?: number | undefined
  readonly graceMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Bytes of output that are kept: the last ones. */
  readonly outputBytesMax?: number | undefined
  /** All output as it comes, stdout and stderr. Progress only: may be lost. */
  readonly onOutput?: ((text: string) => void) | undefined
}

/** How a command ended, as plain JSON. A command that fails has an exit code; it is a result, not a failure. */
export interface CommandResult {
  /** Null when a signal ended it. */
  readonly exitCode: number | null
  readonly signal: string | null
  /** The tail of stdout and stderr, interleaved as they were written. */
  readonly output: string
  /** True when the beginning was dropped. */
  readonly truncated: boolean
  readonly durationMs: number
}

/**
 * Runs a command to its end, the ends of all processes it started included; what it left in the background is ended (SIGTERM, then SIGKILL).
 * After a crash of ours its processes live on until {@link reap}.
 * @throws {Failure} `E_COMMAND_TIMEOUT`, `E_INTERRUPTED` when the signal aborts: thrown after all processes are gone, with the {@link CommandResult}
 *   so far as `data`; `E_TARGET_NOT_FOUND` no folder `cwd`.
 */
export type RunCommand = (options: CommandOptions) => Promise<CommandResult>
