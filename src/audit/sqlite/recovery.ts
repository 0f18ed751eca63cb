/** Closes the records that a dead process left open, with what it had journalled as their answer. */
import { newId } from '../../ids.ts'
import type { DatabaseSync } from 'node:sqlite'
import type { Json, LeafDraft } from '../log.ts'

interface BeginLeaf { readonly key: string | null, readonly choices?: number, readonly perspective?: Json, readonly model?: Json, readonly adapter_sha256?: Json }

/** The end records that are missing, in the order of their begins. Nothing is appended here. */
export function missingEnds (db: DatabaseSync, journalled: ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>): LeafDraft[] {
  const open = db.prepare('SELECT leaf.id, leaf.entry FROM open_record JOIN leaf ON leaf.id = open_record.id ORDER BY leaf.idx').all() as { id: string, entry: Uint8Array }[]
  const ended = db.prepare('SELECT entry FROM leaf WHERE begin = ?')
  return open.flatMap(({ id, entry }) => {
    const begin = parse<BeginLeaf>(entry)
    const choices = begin.choices ?? 1
    const done = new Set((ended.all(id) as { entry: Uint8Array }[]).map((row) => parse<{ choice?: number }>(row.entry).choice ?? 0))
    return Array.from({ length: choices }, (_, choice) => choice).filter((choice) => !done.has(choice)).map((choice): LeafDraft => {
      const payload = journalled.get(id)?.get(choice) ?? new Uint8Array()
      return {
        type: 'completion.end', id: newId(), key: begin.key, payload,
        fields: {
          begin: id, status: 'interrupted', bytes_sent: payload.length, tokens: null, finish: [], source: null,
          perspective: begin.perspective, model: begin.model, adapter_sha256: begin.adapter_sha256,
          ...(choices > 1 && { choice }),
        },
      }
    })
  })
}

const parse = <T>(entry: Uint8Array): T => JSON.parse(Buffer.from(entry).toString('utf8')) as T
