/**
 * The file of a project's memory: `<home>/memory/<hash of the project's path>.db`.
 *
 *   mission ──< file_snapshot        episodes, and the files that each changed       mission_words   full text of them
 *   entity ──< relationship >── entity                                               fact_words      full text of facts
 *   fact                             notes, and one for each entity
 *   vector                           by embedder: those of two embedders are never compared
 *   written                          keys of operations: each is written once
 *
 * Vectors are plain rows, compared by a function of sqlite-vec, and not one of its tables: the file opens where the extension cannot be loaded.
 */

/** "TRME": told apart from stores of runs, and from databases of others. */
export const MEMORY_APPLICATION_ID = 0x54524d45

const V1 = `
CREATE TABLE mission (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, run TEXT NOT NULL, item TEXT NOT NULL, goal TEXT NOT NULL, outcome TEXT NOT NULL,
  summary TEXT NOT NULL, at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE file_snapshot (
  id INTEGER PRIMARY KEY, mission INTEGER NOT NULL REFERENCES mission (id), path TEXT NOT NULL, tree TEXT NOT NULL, at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX file_snapshot_by_mission ON file_snapshot (mission);
CREATE INDEX file_snapshot_by_path ON file_snapshot (path);
CREATE TABLE entity (name TEXT PRIMARY KEY, kind TEXT NOT NULL, text TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE relationship (
  source TEXT NOT NULL REFERENCES entity (name), relation TEXT NOT NULL, target TEXT NOT NULL REFERENCES entity (name), at_ms INTEGER NOT NULL,
  PRIMARY KEY (source, relation, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX relationship_by_target ON relationship (target);
CREATE TABLE fact (id INTEGER PRIMARY KEY, entity TEXT UNIQUE REFERENCES entity (name), text TEXT NOT NULL, source TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
CREATE TABLE vector (
  embedder TEXT NOT NULL, about TEXT NOT NULL, id INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (embedder, about, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE written (key TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE mission_words USING fts5 (text, files, tokenize = 'porter unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE fact_words USING fts5 (text, tokenize = 'porter unicode61 remove_diacritics 2');
`

/** Step n makes version n + 1. Only ever appended to. */
export const MEMORY_MIGRATIONS: readonly string[] = [V1]
