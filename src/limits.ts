/**
 * Every bound of the runtime in one place, with its unit in its name and the relations between them asserted at load.
 * A bound that is reached is an error that names it; nothing is cut without a word.
 */

/** Microsteps of one macrostep: a machine that loops in `always` or `raise` crashes here instead of hanging the tree. */
export const MICROSTEPS_MAX = 1_000
/** Steps of one cascade, the steps that one outside event or timer causes. Past it the cascade is cut and the actor that is next crashes. */
export const CASCADE_STEPS_MAX = 10_000
/** Steps grouped into one commit. */
export const TURN_STEPS_MAX = 256
/** Events accepted from outside that one commit takes along. */
export const TURN_EXTERNALS_MAX = 64
/** Bytes of one event, input, output or effect outcome as JSON. */
export const PAYLOAD_BYTES_MAX = 4_000_000
/** Events that wait in one actor's mailbox. */
export const MAILBOX_DEPTH_MAX = 10_000
/** Events from outside that wait to be accepted, of one run. Past it a send is refused: whoever sends faster than the disk must wait. */
export const INTAKE_MAX = 10_000
/** Actors of one run that stay in memory while they rest; the others are read again when something comes for them. */
export const CELLS_HOT_MAX = 4_096
/** Texts from this length on are stored apart, once however often they are named: UTF-16 units. */
export const BLOB_CHARS_MIN = 4_096
/** Shorter ones are not worth compressing. */
export const BLOB_COMPRESSED_BYTES_MIN = 256
/** Journal entries between two seals: what taking a run over has to verify at most, beside what is open. */
export const SEAL_ENTRIES = 1_000
/** Journal entries that a watcher may lag behind a live run before it is told of a gap. They are kept in memory while somebody watches. */
export const WATCH_LAG_ENTRIES_MAX = 10_000
/** Frames that all watchers of a run together get at once, and then a second: what watching may cost it. */
export const WATCH_BURST_FRAMES_MAX = 10_000
export const WATCH_FRAMES_PER_SECOND_MAX = 25_000
/** Levels of data that is given a name of its own by its content, such as the task of a dynamic child. */
export const NESTING_MAX = 1_000
/** How deep actors may nest below the root. */
export const ACTOR_DEPTH_MAX = 64
/** Children that one XState actor may hold: XState copies `children` on every spawn. Larger pools belong under a supervisor. */
export const XSTATE_CHILDREN_MAX = 500
/** Children of a static supervisor; its specs live in its context. */
export const STATIC_CHILDREN_MAX = 200
/** Longest delay of one timer of the host's clock (2^31 - 1 ms); longer deadlines are waited for in pieces. */
export const HOST_TIMER_MS_MAX = 2_147_483_647
/** Time for running effects to end after an abort, before their processes are ended. */
export const ABORT_GRACE_MS = 2_000
/** Errors of an actor count for its health for this long. */
export const HEALTH_WINDOW_MS = 300_000
/** Errors within that time that are counted one by one; above, it is at least so many. */
export const HEALTH_ERRORS_MAX = 100
/** Effects of one run that may be in flight at once. */
export const EFFECTS_IN_FLIGHT_MAX = 64
/** Bytes of the body of one exchange that a cassette takes: a larger one is passed on, and is not on the tape. */
export const CASSETTE_BODY_BYTES_MAX = 64_000_000
/** Calls that wait in the queue of a provider's gate. Past it they wait outside, in their runs, until somebody has gone. */
export const GATE_QUEUE_MAX = 1_000
/** Longest time between two starts that a gate learns from rate limits. */
export const GATE_PACE_MS_MAX = 60_000
/** Bytes of one answer of a model as it comes over the network, and of one event of it: what a server that never ends may cost. */
export const ANSWER_BYTES_MAX = 64_000_000
export const ANSWER_EVENT_BYTES_MAX = 4_000_000
/** Tool calls of one answer of a model: all of them are performed within one conversation, and none of their results may be left out of the next prompt. */
export const TOOL_CALLS_MAX = 64
/** A pause of a provider that is longer is not waited for by who has another model to ask. */
export const PATIENCE_MS = 30_000
/** Longest wait that a provider may ask for; a longer one is cut to it. */
export const RETRY_AFTER_MS_MAX = 3_600_000
/** Crashes of a run's process that are too many within {@link RUN_CRASHES_PERIOD_MS}: then it is not started any more until somebody says so. */
export const RUN_CRASHES_MAX = 3
export const RUN_CRASHES_PERIOD_MS = 600_000
/** Bytes of one config file. */
export const CONFIG_BYTES_MAX = 1_000_000
/** How long the keychain of the system may take to answer, before the key file is used instead. */
export const KEYCHAIN_MS_MAX = 3_000
/** Operations that wait to be written into the memory of a project; past it the answer is no. */
export const MEMORY_OPERATIONS_MAX = 10_000
/** Characters of one text in the memory of a project; longer ones are cut, with a note. */
export const MEMORY_TEXT_CHARS_MAX = 8_000

if (TURN_STEPS_MAX > CASCADE_STEPS_MAX) throw new Error('limits: a turn cannot hold more steps than a cascade')
if (TURN_EXTERNALS_MAX > TURN_STEPS_MAX) throw new Error('limits: a turn takes at least one step for each event from outside')
if (ANSWER_EVENT_BYTES_MAX > ANSWER_BYTES_MAX) throw new Error('limits: an event of an answer cannot be larger than the answer')
