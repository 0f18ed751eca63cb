/** The tables of the PostgreSQL database, of all rooms that keep something there, as numbered steps that only go forward. */
import type { PoolClient } from 'pg'

/** Step n brings a database from version n to n + 1. Never change one that was released: add another. */
const STEPS: readonly string[] = [
  `CREATE TABLE parallax.leaf (
     idx bigint PRIMARY KEY,
     id uuid NOT NULL UNIQUE,
     hash bytea NOT NULL,
     entry bytea NOT NULL,
     t bigint NOT NULL,
     type text NOT NULL,
     key text,
     key_seq bigint,
     perspective text,
     status text,
     begin uuid,
     choice int
   );
   CREATE UNIQUE INDEX leaf_key ON parallax.leaf (key, key_seq) WHERE key IS NOT NULL;
   CREATE UNIQUE INDEX leaf_begin ON parallax.leaf (begin, choice) WHERE begin IS NOT NULL;
   CREATE INDEX leaf_t ON parallax.leaf (t);
   CREATE TABLE parallax.payload (
     idx bigint PRIMARY KEY REFERENCES parallax.leaf (idx),
     record uuid NOT NULL,
     state text NOT NULL DEFAULT 'present' CHECK (state IN ('present', 'erased', 'expired')),
     salt bytea,
     bytes bytea,
     kek text,
     wrapped bytea,
     tenant text,
     subject text
   );
   CREATE INDEX payload_record ON parallax.payload (record);
   CREATE INDEX payload_subject ON parallax.payload (subject) WHERE subject IS NOT NULL;
   CREATE TABLE parallax.hold (name text NOT NULL, kind text NOT NULL CHECK (kind IN ('record', 'tenant', 'user', 'all')), value text NOT NULL, PRIMARY KEY (name, kind, value));
   CREATE INDEX hold_by ON parallax.hold (kind, value);
   CREATE TABLE parallax.open_record (id uuid PRIMARY KEY, missing int NOT NULL, replica uuid NOT NULL);
   CREATE TABLE parallax.node (level int NOT NULL, idx bigint NOT NULL, hash bytea NOT NULL, PRIMARY KEY (level, idx));
   CREATE TABLE parallax.meta (name text PRIMARY KEY, value text NOT NULL);
   -- what is durable and has no place yet: one row a call, whose leaves are placed together
   CREATE TABLE parallax.pending (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, call uuid NOT NULL UNIQUE, replica uuid NOT NULL, entries bytea NOT NULL);
   -- calls that could not be placed, for the replica that waits for them
   CREATE TABLE parallax.refused (call uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
   CREATE TABLE parallax.replica (id uuid PRIMARY KEY, until timestamptz NOT NULL);
   -- one row: where the log stands. epoch grows with every group, so that nobody can place leaves on a state that he does not know
   CREATE TABLE parallax.head (single boolean PRIMARY KEY DEFAULT true CHECK (single), epoch bigint NOT NULL, size bigint NOT NULL, t bigint NOT NULL, checkpoint text);
   INSERT INTO parallax.head (epoch, size, t) VALUES (0, 0, 0);`,
  // since when a replica has held its lease without a gap; and an index of the leaves that are looked for by their type
  `ALTER TABLE parallax.replica ADD COLUMN since timestamptz NOT NULL DEFAULT now();
   CREATE INDEX leaf_told ON parallax.leaf (type, idx) WHERE type IN ('erasure', 'log.restored');`,
  // which key-encryption keys are in use can be told at once
  'CREATE INDEX payload_kek ON parallax.payload (kek) WHERE state = \'present\'',
  // so that each gateway hears soon of what the others took away
  'CREATE INDEX leaf_removal ON parallax.leaf (idx) WHERE type IN (\'erasure\', \'payload.expired\')',
  // draws: a secret is sealed until it is revealed, and then stands in the log for everybody
  `CREATE TABLE parallax.draw_epoch (
     epoch bigint PRIMARY KEY,
     secret bytea NOT NULL,
     until bigint NOT NULL,
     leaf uuid NOT NULL UNIQUE,
     committed boolean NOT NULL DEFAULT false,
     revealed boolean NOT NULL DEFAULT false
   );
   CREATE TABLE parallax.draw_conversation (name text PRIMARY KEY, epoch bigint NOT NULL REFERENCES parallax.draw_epoch (epoch), used bigint NOT NULL);
   CREATE INDEX draw_conversation_used ON parallax.draw_conversation (used);`,
  // API keys. change: a number that grows with every change, so that each gateway hears of it
  `CREATE TABLE parallax.key (
     id text PRIMARY KEY, hash bytea NOT NULL UNIQUE, tenant text NOT NULL, name text NOT NULL, scopes text NOT NULL, default_perspective text,
     created bigint NOT NULL, expires bigint, revoked bigint, replaced_by text, last_used bigint, quota text NOT NULL DEFAULT '{}'
   );
   CREATE TABLE parallax.key_owed (id text PRIMARY KEY, draft text NOT NULL);
   CREATE TABLE parallax.key_state (single boolean PRIMARY KEY DEFAULT true CHECK (single), change bigint NOT NULL);
   INSERT INTO parallax.key_state (change) VALUES (0);`,
  // feedback: what people said of answers, and how far the log was followed that takes answers away
  `CREATE TABLE parallax.feedback (
     id uuid PRIMARY KEY,
     tenant text NOT NULL,
     key text NOT NULL,
     thing text NOT NULL,
     verdict text NOT NULL CHECK (verdict IN ('good', 'bad', 'choice')),
     record uuid NOT NULL,
     idx bigint NOT NULL,
     choice int NOT NULL,
     perspective text NOT NULL,
     adapter text,
     over_record uuid,
     over_idx bigint,
     over_choice int,
     over_perspective text,
     over_adapter text,
     comment bytea,
     comment_key bytea,
     consent_version text,
     salt bytea NOT NULL,
     at bigint NOT NULL,
     UNIQUE (key, thing)
   );
   CREATE INDEX feedback_tenant ON parallax.feedback (tenant, id);
   CREATE INDEX feedback_record ON parallax.feedback (record);
   CREATE INDEX feedback_over_record ON parallax.feedback (over_record) WHERE over_record IS NOT NULL;
   CREATE INDEX feedback_idx ON parallax.feedback (idx);
   CREATE INDEX feedback_over_idx ON parallax.feedback (over_idx) WHERE over_idx IS NOT NULL;
   CREATE TABLE parallax.feedback_followed (single boolean PRIMARY KEY DEFAULT true CHECK (single), leaves bigint NOT NULL);
   INSERT INTO parallax.feedback_followed (leaves) VALUES (0);`,
]

/** Under a lock of its own, for replicas start together. Throws where the database is newer than this program. */
export async function migrate (client: PoolClient): Promise<void> {
  // read committed, whatever the server's default: who waited for the lock has to see what its last holder did
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE')
  try {
    await client.query('SELECT pg_advisory_xact_lock(hashtextextended(\'parallax migrations\', 0))')
    await client.query('CREATE SCHEMA IF NOT EXISTS parallax')
    await client.query('CREATE TABLE IF NOT EXISTS parallax.schema_version (single boolean PRIMARY KEY DEFAULT true CHECK (single), version int NOT NULL)')
    await client.query('INSERT INTO parallax.schema_version (version) VALUES (0) ON CONFLICT DO NOTHING')
    const { version } = (await client.query<{ version: number }>('SELECT version FROM parallax.schema_version')).rows[0]!
    if (version > STEPS.length) throw new Error(`The database has schema version ${version}, this program knows ${STEPS.length}. Start the newer program that wrote it.`)
    for (const step of STEPS.slice(version)) await client.query(step)
    await client.query('UPDATE parallax.schema_version SET version = $1', [STEPS.length])
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw error
  }
}
