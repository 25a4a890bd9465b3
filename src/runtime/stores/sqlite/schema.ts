/**
 * The file format. Times are milliseconds, positions are positions of the run's journal, hashes are SHA-256 as 32 bytes (empty: none).
 *
 *   run       what a run was started with, and how it stands            head    what every commit changes: one small row a run
 *   journal   the entries; a snapshot stands in the row of the entry of its step           (run, position)
 *   cell      a version for each change; current: not dead              (run, nth)        effect   likewise            (run, nth)
 *   envelope, timer, ask    one row each, open until it dies            (run, number)
 *   thread    its name                                                  thread_item   what was said                    (thread, place)
 *   machine   as the run knew it       request   of other processes     blob   large texts, each stored once           store   one row
 *
 * The key of a row is one integer, `run.k * 2^32 + number` (of an item `thread.k * 2^24 + place`): rows of a run lie together in the order in which they
 * came to be, an append touches the last page, and what there was at a position is found by reading from the front and stopping.
 *
 *   a step      journal row "accepted", journal row "committed" with the snapshot, head updated                 3 rows, 4 pages with the index
 *   a change    the version before dies (`died` = birth of the next), the next one is appended
 *
 * Invariants:
 * - Rows are never changed but by their death, and never deleted but by retention. Alive at position p: born <= p, and died is null or > p.
 *   A row whose death is its birth never was alive: the last word of an address that is gone, a late word of an older life.
 * - `ends` is 1 on the last entry of a commit: the positions at which the run rested.
 * - Columns of type ANY hold JSON as text, or, where it is long, the hash of a text in `blob`. Chunks of snapshots are blobs that snapshots name.
 * - Partial indexes hold open rows alone, so that an image costs what is open, not what has been. `*_open` of the numbered tables index a column that is
 *   null in all of them: what is left of their keys is the row's own.
 * - `sum` and `head.digest` make damage loud: see sums.ts. `head.seal` is the last entry that a later check may begin at, `head.anchor` the last one
 *   that retention has forgotten.
 * - Deleting is for retention: entries up to the anchor, and what was dead by then. Of a forgotten entry whose snapshot is still the newest of a life the
 *   row stays without what it told.
 */
/** `TRUP`, in the header of the file: SQLite's field for programs that own a file format. */
export const APPLICATION_ID = 0x54525550

/** Version 1, and what version 2 added: `seat` names the lock file that the owner of the current epoch holds, see ownership.ts. */
export const V1 = `
CREATE TABLE run (
  k INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, name TEXT, project TEXT, status TEXT NOT NULL, reason TEXT, tree TEXT NOT NULL,
  input TEXT NOT NULL, limits TEXT NOT NULL, meta TEXT NOT NULL, output TEXT NOT NULL, created_at INTEGER NOT NULL, ended_at INTEGER, owner TEXT
) STRICT;
CREATE TABLE head (
  run INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, position INTEGER NOT NULL, hash TEXT NOT NULL, run_ms REAL NOT NULL, wall_ms REAL NOT NULL,
  seq INTEGER NOT NULL, effects INTEGER NOT NULL, timers INTEGER NOT NULL
) STRICT;
CREATE TABLE journal (
  run INTEGER NOT NULL, pos INTEGER NOT NULL, at INTEGER NOT NULL, type TEXT NOT NULL, path TEXT, inc INTEGER, cause INTEGER,
  data TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (run, pos)
) STRICT, WITHOUT ROWID;
CREATE TABLE cell (
  run INTEGER NOT NULL, address TEXT NOT NULL, incarnation INTEGER NOT NULL, born INTEGER NOT NULL, live INTEGER NOT NULL, data TEXT NOT NULL,
  PRIMARY KEY (run, address, incarnation, born)
) STRICT, WITHOUT ROWID;
CREATE INDEX cell_open ON cell (run, address) WHERE live = 1;
CREATE TABLE snapshot (
  run INTEGER NOT NULL, address TEXT NOT NULL, incarnation INTEGER NOT NULL, born INTEGER NOT NULL,
  json TEXT NOT NULL, hash TEXT NOT NULL, status TEXT NOT NULL, value TEXT NOT NULL, tags TEXT NOT NULL,
  PRIMARY KEY (run, address, incarnation, born)
) STRICT;
CREATE TABLE envelope (
  run INTEGER NOT NULL, seq INTEGER NOT NULL, born INTEGER NOT NULL, died INTEGER, outcome TEXT, data TEXT NOT NULL, PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX envelope_open ON envelope (run, seq) WHERE died IS NULL;
CREATE TABLE timer (
  run INTEGER NOT NULL, timer INTEGER NOT NULL, born INTEGER NOT NULL, died INTEGER, data TEXT NOT NULL, PRIMARY KEY (run, timer)
) STRICT, WITHOUT ROWID;
CREATE INDEX timer_open ON timer (run, timer) WHERE died IS NULL;
CREATE TABLE effect (
  run INTEGER NOT NULL, id TEXT NOT NULL, changed INTEGER NOT NULL, open INTEGER NOT NULL, input TEXT, output TEXT, data TEXT NOT NULL,
  PRIMARY KEY (run, id, changed)
) STRICT, WITHOUT ROWID;
CREATE INDEX effect_open ON effect (run, id) WHERE open = 1;
CREATE TABLE ask (
  run INTEGER NOT NULL, ask INTEGER NOT NULL, born INTEGER NOT NULL, died INTEGER, data TEXT NOT NULL, PRIMARY KEY (run, ask)
) STRICT, WITHOUT ROWID;
CREATE INDEX ask_open ON ask (run, ask) WHERE died IS NULL;
CREATE TABLE thread (
  run INTEGER NOT NULL, thread TEXT NOT NULL, place INTEGER NOT NULL, born INTEGER NOT NULL, item TEXT NOT NULL, PRIMARY KEY (run, thread, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE request (
  request INTEGER PRIMARY KEY, run INTEGER NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL, died INTEGER
) STRICT;
CREATE INDEX request_open ON request (run, request) WHERE died IS NULL;
`

export const V2 = 'ALTER TABLE head ADD COLUMN seat INTEGER NOT NULL DEFAULT 0'

/** Version 3: the tables as they are now. The ones before it stand beside them as `old_*` while their rows are carried over, see migrate-3.ts. */
export const V3 = `
CREATE TABLE run (
  k INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL UNIQUE, name TEXT, project TEXT, status TEXT NOT NULL, reason TEXT, tree ANY NOT NULL,
  input ANY NOT NULL, limits TEXT NOT NULL, meta ANY NOT NULL, output ANY NOT NULL, created_at INTEGER NOT NULL, ended_at INTEGER, owner TEXT,
  sum INTEGER NOT NULL
) STRICT;
CREATE TABLE head (
  run INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, seat INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL, run_ms REAL NOT NULL,
  wall_ms REAL NOT NULL, seq INTEGER NOT NULL, effects INTEGER NOT NULL, timers INTEGER NOT NULL, anchor INTEGER NOT NULL, anchor_hash BLOB NOT NULL,
  seal INTEGER NOT NULL, seal_hash BLOB NOT NULL, digest INTEGER NOT NULL, sum INTEGER NOT NULL
) STRICT;
CREATE TABLE journal (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, type TEXT NOT NULL, path TEXT, inc INTEGER, cause INTEGER, hash BLOB NOT NULL, ends INTEGER NOT NULL,
  snap_hash BLOB, snap_path TEXT, snap_inc INTEGER, tags TEXT, sum INTEGER NOT NULL, data ANY NOT NULL, snap ANY
) STRICT;
CREATE INDEX journal_snap ON journal (coalesce(snap_path, path), coalesce(snap_inc, inc)) WHERE snap IS NOT NULL;
CREATE TABLE cell (
  id INTEGER PRIMARY KEY, run INTEGER NOT NULL, address TEXT NOT NULL, incarnation INTEGER NOT NULL, machine TEXT NOT NULL, version TEXT NOT NULL,
  parent TEXT, parent_inc INTEGER, system INTEGER NOT NULL, born INTEGER NOT NULL, died INTEGER, sum INTEGER NOT NULL, data ANY NOT NULL
) STRICT;
CREATE UNIQUE INDEX cell_open ON cell (run, address) WHERE died IS NULL;
CREATE INDEX cell_parent ON cell (run, parent, address) WHERE died IS NULL;
CREATE INDEX cell_system ON cell (run, address) WHERE died IS NULL AND system = 1;
CREATE INDEX cell_past ON cell (run, address, died) WHERE died > born;
CREATE TABLE effect (
  id INTEGER PRIMARY KEY, n INTEGER NOT NULL, open INTEGER NOT NULL, born INTEGER NOT NULL, died INTEGER, same INTEGER, sum INTEGER NOT NULL,
  data TEXT NOT NULL, input ANY, output ANY
) STRICT;
CREATE INDEX effect_now ON effect (n) WHERE died IS NULL;
CREATE INDEX effect_open ON effect (died) WHERE died IS NULL AND open = 1;
CREATE TABLE envelope (
  id INTEGER PRIMARY KEY, born INTEGER NOT NULL, died INTEGER, outcome TEXT, sum INTEGER NOT NULL, data ANY NOT NULL
) STRICT;
CREATE INDEX envelope_open ON envelope (died) WHERE died IS NULL;
CREATE TABLE timer (id INTEGER PRIMARY KEY, born INTEGER NOT NULL, died INTEGER, sum INTEGER NOT NULL, data ANY NOT NULL) STRICT;
CREATE INDEX timer_open ON timer (died) WHERE died IS NULL;
CREATE TABLE ask (id INTEGER PRIMARY KEY, born INTEGER NOT NULL, died INTEGER, sum INTEGER NOT NULL, data ANY NOT NULL) STRICT;
CREATE INDEX ask_open ON ask (died) WHERE died IS NULL;
CREATE TABLE thread (k INTEGER PRIMARY KEY, run INTEGER NOT NULL, name TEXT NOT NULL, sum INTEGER NOT NULL, UNIQUE (run, name)) STRICT;
CREATE TABLE thread_item (id INTEGER PRIMARY KEY, born INTEGER NOT NULL, sum INTEGER NOT NULL, item ANY NOT NULL) STRICT;
CREATE TABLE machine (
  run INTEGER NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, born INTEGER NOT NULL, sum INTEGER NOT NULL, definition ANY NOT NULL,
  PRIMARY KEY (run, name, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE request (
  request INTEGER PRIMARY KEY, run INTEGER NOT NULL, kind TEXT NOT NULL, died INTEGER, sum INTEGER NOT NULL, data ANY NOT NULL
) STRICT;
CREATE INDEX request_open ON request (run, request) WHERE died IS NULL;
CREATE TABLE blob (k INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL, codec INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE store (k INTEGER PRIMARY KEY CHECK (k = 1), sweeps INTEGER NOT NULL) STRICT;
INSERT INTO store VALUES (1, 0);
`
