/**
 * The codes that a person may meet, with the exit code of each, and what mends it. A code is never reused or given another meaning.
 *
 *   0 success   1 failed   2 usage   3 config, task   4 credentials   5 provider   6 limit   7 waits for a person   8 replay   9 not found   10 store   70 bug
 */

interface Entry {
  readonly exit: number
  /** The same command may succeed later unchanged. */
  readonly retryable?: boolean
  /** What to do about it where the code came up in a run; `resumable` runs can go on. */
  readonly fix?: Fix
}
type Fix = (run: string, resumable: boolean) => string

const show: Fix = (run) => `troupe logs ${run}`
const resumeOrAgain =
  (before: string): Fix =>
  (run, resumable) =>
    resumable ? `${before}, then: troupe resume ${run}` : `${before}, and start the task again`

const CATALOGUE: Readonly<Record<string, Entry>> = {
  E_RUN_FAILED: { exit: 1, fix: show },
  E_RUN_CANCELED: { exit: 1, fix: () => 'start the task again' },
  E_RUN_FINISHED: { exit: 1 },
  E_RUN_EXISTS: { exit: 2 },
  E_RUN_QUARANTINED: { exit: 1, fix: (run) => `troupe logs ${run}, then: troupe resume ${run} --unquarantine` },
  E_SUPERVISOR_GAVE_UP: { exit: 1, fix: show },
  E_DEFECT: { exit: 1, fix: (run) => `troupe logs ${run} --type 'actor.*'; mend the machine` },
  E_GATE_FAILED: { exit: 1, fix: (run) => `troupe logs ${run} --type 'gate.*'` },
  E_WORK_REJECTED: { exit: 1, fix: () => 'correct the work in the task, and start it again' },
  E_WRITE_REFUSED: { exit: 1, fix: () => 'widen `workspace.dir` in the task, where the file lies outside' },
  E_WORKSPACE_CHANGED: { exit: 1, fix: resumeOrAgain('commit or stash what changed') },
  E_DISK_FULL: { exit: 1, fix: resumeOrAgain('free space on it') },
  E_FILE_REFUSED: { exit: 1, fix: resumeOrAgain('make the file and its folder writable for you') },
  E_COMMAND_TIMEOUT: { exit: 1, fix: () => 'raise the `timeout` of the check in the task' },
  E_LOOP_ESCALATED: { exit: 7, fix: (run) => `troupe logs ${run} --type 'loop.*'; say more in the task, and start it again` },
  E_ACTOR_TIMEOUT: { exit: 6, fix: (run) => `troupe logs ${run} --type 'actor.*'; raise limits.deadlineMs of the actor` },
  E_CHECK_FAILED: { exit: 1 },
  E_OUTPUT: { exit: 1, retryable: true },
  E_MEMORY_REFUSED: { exit: 1, retryable: true },
  E_NODE_VERSION: { exit: 1 },
  E_USAGE: { exit: 2 },
  E_FLAG_CONFLICT: { exit: 2 },
  E_CONFIRM_REQUIRED: { exit: 2 },
  E_CHOICE_REQUIRED: { exit: 2 },
  E_EVENT_REFUSED: { exit: 2 },
  E_FILE_EXISTS: { exit: 2 },
  E_PAYLOAD_TOO_LARGE: { exit: 2 },
  E_CONFIG_INVALID: { exit: 3 },
  E_TASK_NOT_FOUND: { exit: 3 },
  E_TASK_INVALID: { exit: 3 },
  E_MACHINE_INVALID: { exit: 3 },
  E_MACHINE_CHANGED: { exit: 3 },
  E_MACHINE_UNKNOWN: { exit: 3 },
  E_MIGRATION_FAILED: { exit: 3 },
  E_MODEL_UNKNOWN: { exit: 3, fix: () => 'name a model that the provider has: troupe models' },
  E_PRICE_UNKNOWN: { exit: 3, fix: () => 'give the price under [pricing], or use --max-tokens' },
  E_SECRET_IN_CONFIG: { exit: 3 },
  E_INPUT_CHANGED: { exit: 3 },
  E_CREDENTIALS_MISSING: { exit: 4, fix: resumeOrAgain('troupe auth login PROVIDER') },
  E_CREDENTIALS_REJECTED: { exit: 4, fix: resumeOrAgain('give the right key with: troupe auth login PROVIDER') },
  E_CREDENTIALS_UNSAFE: { exit: 4 },
  E_PROVIDER_UNREACHABLE: { exit: 5, retryable: true, fix: resumeOrAgain('start the provider') },
  E_PROVIDER_OVERLOADED: { exit: 5, retryable: true, fix: resumeOrAgain('wait') },
  E_PROVIDER_TIMEOUT: { exit: 5, retryable: true, fix: resumeOrAgain('wait') },
  E_PROVIDER_OUTPUT: { exit: 5, retryable: true, fix: resumeOrAgain('choose another model') },
  E_PROVIDER_REFUSED: { exit: 5, fix: show },
  E_FALLBACK_EXHAUSTED: { exit: 5, retryable: true, fix: resumeOrAgain('look at `troupe models`') },
  E_LIMIT_TOKENS: {
    exit: 6,
    fix: (run, on) => (on ? `troupe resume ${run} --max-tokens MORE` : 'raise --max-tokens, and start the task again'),
  },
  E_LIMIT_COST: {
    exit: 6,
    fix: (run, on) =>
      on ? `troupe resume ${run} --max-usd MORE` : 'raise --max-usd, or the `budget` of the agent in the task, and start the task again',
  },
  E_LIMIT_TIME: {
    exit: 6,
    fix: (run, on) => (on ? `troupe resume ${run} --timeout MORE` : 'raise `deadline` in the task, and start it again'),
  },
  E_LIMIT_TURNS: {
    exit: 6,
    fix: (run, on) =>
      on ? `troupe resume ${run} --max-turns MORE` : 'raise `max_iterations` or `budget` of the agent in the task, and start it again',
  },
  E_LIMIT_SPAWN: { exit: 6 },
  E_CONTEXT_TOO_LARGE: { exit: 6, fix: () => 'split the item, and start the task again' },
  E_APPROVAL_NEEDED: { exit: 7 },
  E_EFFECT_IN_DOUBT: { exit: 7, fix: (run) => `troupe show ${run} --effects` },
  E_REPLAY_MISS: { exit: 8, fix: resumeOrAgain('record the tape again with --record, or undo what has changed') },
  E_SCRIPT_MISS: { exit: 8, fix: () => 'add a reply under `replies:` in the task, and start it again' },
  E_CASSETTE_INVALID: { exit: 8 },
  E_RUN_NOT_FOUND: { exit: 9 },
  E_RUN_AMBIGUOUS: { exit: 9 },
  E_TARGET_NOT_FOUND: { exit: 9 },
  E_POSITION_PRUNED: { exit: 9 },
  E_RUN_OWNED: { exit: 10, retryable: true, fix: (run) => `troupe logs ${run} -f` },
  E_LEASE_LOST: { exit: 10 },
  E_STORE_BUSY: { exit: 10, retryable: true },
  E_STORE_DAMAGED: { exit: 10 },
  E_STORE_TAIL_LOST: { exit: 10 },
  E_STORE_NEWER: { exit: 10 },
  E_STORE_FULL: { exit: 10, retryable: true },
  E_STORE_IO: { exit: 10 },
  E_STORE_READ_ONLY: { exit: 10 },
  E_STORE_WRONG_FILE: { exit: 10 },
  E_STORE_IN_MEMORY: { exit: 10 },
  E_SNAPSHOT_DAMAGED: { exit: 10 },
  E_SNAPSHOT_LOST: { exit: 10 },
  E_INTERNAL: { exit: 70 },
  E_INTERRUPTED: { exit: 130, retryable: true, fix: (run) => `troupe resume ${run}` },
}

/** What a check of a store or a look at the configuration finds and with which everything still runs: it is printed as a warning, and the exit code stays as earned. */
const WARNINGS: readonly string[] = ['E_MARK_TORN', 'E_BLOB_ORPHAN', 'E_OWNER_FOREIGN', 'E_CONFIG_UNKNOWN_KEY']

/** Is the code one of a warning? */
export const isWarning = (code: string): boolean => WARNINGS.includes(code)

/** The exit code that goes with a code. Codes of users' own machines are failures: 1. */
export const exitOf = (code: string): number => CATALOGUE[code]?.exit ?? 1

/** May the same command succeed later unchanged? */
export const isRetryable = (code: string): boolean => CATALOGUE[code]?.retryable ?? false

/** Something that can be pasted, or done, about a code that came up in a run. */
export const fixOf = (code: string, run: string, resumable: boolean): string =>
  CATALOGUE[code]?.fix?.(run, resumable) ?? (resumable ? `troupe resume ${run}` : `troupe logs ${run}`)
