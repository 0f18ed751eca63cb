/** The tables of the SQLite log, as numbered steps that only go forward. */
import type { DatabaseSync } from 'node:sqlite'

/** Step n brings a database from version n to n + 1. Never change one that was released: add another. */
const STEPS: readonly string[] = [
  `CREATE TABLE leaf (
     idx INTEGER PRIMARY KEY,
     id TEXT NOT NULL UNIQUE,
     hash BLOB NOT NULL,
     entry BLOB NOT NULL,
     t INTEGER NOT NULL,
     type TEXT NOT NULL,
     key TEXT,
     key_seq INTEGER,
     perspective TEXT,
     status TEXT,
     begin TEXT
   ) STRICT;
   CREATE UNIQUE INDEX leaf_key ON leaf (key, key_seq) WHERE key IS NOT NULL;
   CREATE INDEX leaf_begin ON leaf (begin) WHERE begin IS NOT NULL;
   CREATE TABLE payload (
     idx INTEGER PRIMARY KEY REFERENCES leaf (idx),
     state TEXT NOT NULL DEFAULT 'present' CHECK (state IN ('present', 'erased', 'expired')),
     salt BLOB,
     bytes BLOB
   ) STRICT;
   CREATE TABLE open_record (
     id TEXT PRIMARY KEY,
     missing INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE node (
     level INTEGER NOT NULL,
     idx INTEGER NOT NULL,
     hash BLOB NOT NULL,
     PRIMARY KEY (level, idx)
   ) STRICT, WITHOUT ROWID;`,
  // kek is NULL where the bytes are not sealed yet: they are on the next rewrapping
  `ALTER TABLE payload ADD COLUMN kek TEXT;
   ALTER TABLE payload ADD COLUMN wrapped BLOB;
   ALTER TABLE payload ADD COLUMN tenant TEXT;
   ALTER TABLE payload ADD COLUMN subject TEXT;
   CREATE INDEX payload_subject ON payload (subject) WHERE subject IS NOT NULL;
   CREATE TABLE hold (name TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('record', 'tenant', 'user', 'all')), value TEXT NOT NULL, PRIMARY KEY (name, kind, value)) STRICT, WITHOUT ROWID;
   CREATE INDEX hold_by ON hold (kind, value);`,
  // the tables stay as they are, but record keys may be wrapped in a shorter form: a program that cannot open it must not start and call it damage
  'SELECT 1',
]

/** Throws where the database is newer than this program. */
export function migrate (db: DatabaseSync): void {
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
  if (version > STEPS.length) throw new Error(`The audit log has schema version ${version}, this program knows ${STEPS.length}. Start the newer program that wrote it.`)
  for (let step = version; step < STEPS.length; step++) db.exec(`BEGIN IMMEDIATE; ${STEPS[step]}; PRAGMA user_version = ${step + 1}; COMMIT`)
}
