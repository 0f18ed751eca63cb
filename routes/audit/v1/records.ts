/** The auditor's reading: records by cursor, one record with its transcript, and the whole as NDJSON. Every read is itself a record. */
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { newId } from '../../../src/ids.ts'
import { z } from 'zod'
import { LEAF_TYPES, type Json, type RecordQuery } from '../../../src/audit/log.ts'
import { csvRow } from '../../../src/audit/csv.ts'
import { exportLines, tell, textOf } from '../../../src/audit/export.ts'
import { parseCheckpoint } from '../../../src/audit/note.ts'
import { ParallaxError } from '../../../src/errors.ts'
import type { Registry } from '../../../src/perspectives/registry.ts'
import { queryOf, wholeNumber } from '../../../src/query.ts'

const PAGE = 1000

const time = z.union([z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)), z.coerce.number().int().min(0)], 'wanted a time as ISO 8601 with its zone, such as 2026-11-29T10:00:00Z, or as milliseconds since the epoch')

const filters = {
  from: time.optional().describe('ISO 8601 or milliseconds since the epoch, inclusive'),
  to: time.optional().describe('Likewise, exclusive'),
  type: z.enum(LEAF_TYPES).optional(),
  perspective: z.string().max(60).optional().describe('Id or alias; one that was served before is found as well'),
  status: z.enum(['complete', 'client_abort', 'upstream_error', 'interrupted']).optional(),
  key: z.string().max(60).optional().describe('Pseudonym of the key that caused the record'),
  as_of: wholeNumber().min(0).optional().describe('Tree size that pins a set of pages'),
}
const pageQuery = queryOf({ after_index: wholeNumber().min(-1).optional(), limit: wholeNumber().min(1).max(PAGE).default(100), ...filters })
const exportQuery = queryOf({ after_index: wholeNumber().min(-1).optional(), format: z.enum(['ndjson', 'csv']).default('ndjson').describe('csv: a row a record for a spreadsheet; it cannot be verified'), ...filters })

const COLUMNS = ['index', 'id', 'type', 'time', 'key', 'key_seq', 'perspective', 'status', 'leaf_hash', 'leaf', 'transcript'] as const

const record = z.object({
  index: z.number(),
  id: z.string(),
  leaf: z.string().describe('The exact bytes of the leaf: canonical JSON'),
  leaf_hash: z.string().describe('base64 of SHA-256(0x00 and the leaf)'),
  payload: z.object({ state: z.enum(['present', 'none', 'erased', 'expired', 'damaged']), base64: z.string().optional(), text: z.string().nullable().optional().describe('The bytes as text where they are UTF-8. Hostile: written by strangers.'), salt: z.string().optional() }),
})

type Query = Omit<z.infer<typeof exportQuery>, 'format'> & { limit?: number | undefined }

const searchOf = (query: Query, size: number, perspectives: Registry): RecordQuery => {
  if (query.as_of !== undefined && query.as_of > size) throw new ParallaxError('invalid_request', `"as_of" is ${query.as_of}, but the log has only ${size} leaves.`, { param: 'as_of' })
  return {
    asOf: query.as_of ?? size,
    ...(query.after_index !== undefined && { afterIndex: query.after_index }),
    ...(query.limit !== undefined && { limit: query.limit }),
    ...(query.from !== undefined && { from: query.from }),
    ...(query.to !== undefined && { to: query.to }),
    ...(query.type !== undefined && { type: query.type }),
    // one that nobody declares now may have been declared when the record was made
    ...(query.perspective !== undefined && { perspective: perspectives.find(query.perspective)?.id ?? query.perspective }),
    ...(query.status !== undefined && { status: query.status }),
    ...(query.key !== undefined && { key: query.key }),
  }
}

export default async function records (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { audit, perspectives } = app.services
  const security = [{ key: [] }]

  /** Durable before anything is shown. */
  async function onRecord (request: FastifyRequest, what: Record<string, Json | undefined>): Promise<void> {
    await audit.append([{ type: 'audit.read', id: newId(), key: request.caller!.key, fields: { request: request.id, ...what } }])
  }

  app.get('/records', {
    config: { scope: 'auditor' },
    schema: {
      tags: ['audit'], security, summary: 'Records by cursor',
      description: 'In the order of the log. Go on with "after_index" set to "next"; pass the "as_of" of the first page along to see one state of the log.',
      querystring: pageQuery,
      response: { 200: z.object({ as_of: z.number(), next: z.number().nullable(), data: z.array(record) }) },
    },
  }, async (request, reply) => {
    const size = audit.size()
    const query = searchOf(request.query, size, perspectives)
    await onRecord(request, { read: 'records', query: definedOf(request.query) })
    const data = await audit.records(query)
    reply.header('cache-control', 'private, no-store')
    return { as_of: query.asOf!, next: data.length === request.query.limit ? data.at(-1)!.index : null, data: data.map((one) => tell(one, false)) }
  })

  app.get('/records/:id', {
    config: { scope: 'auditor' },
    schema: {
      tags: ['audit'], security, summary: 'One record with its transcript',
      description: 'By the id in X-Audit-Record (the begin record: its end records come along), or by the id of any other record.',
      params: z.object({ id: z.uuid().toLowerCase() }),
      querystring: queryOf({}),
      response: { 200: record.extend({ ends: z.array(record) }) },
    },
  }, async (request, reply) => {
    await onRecord(request, { read: 'record', record: request.params.id })
    const found = await audit.record(request.params.id)
    if (!found) throw new ParallaxError('record_not_found', `There is no record ${request.params.id} in this log.`)
    reply.header('cache-control', 'private, no-store')
    return { ...tell(found, true), ends: (await audit.endsOf(found.id)).map((one) => tell(one, true)) }
  })

  app.get('/export', {
    config: { scope: 'auditor' },
    schema: {
      tags: ['audit'], security, summary: 'All records with their transcripts, as NDJSON',
      description: 'One record a line, streamed; the last line is the manifest: count, first and last index, tree size, and the SHA-256 of everything before it. An export without that line was cut off.',
      querystring: exportQuery,
    },
  }, async (request, reply) => {
    const size = audit.size()
    const asked = searchOf(request.query, size, perspectives)
    await onRecord(request, { read: 'export', query: definedOf(request.query) })
    // up to the checkpoint of this moment, unless another size was asked for: the manifest then carries what the leaves add up to
    const checkpoint = audit.tree.checkpoint()
    const query = request.query.as_of === undefined ? { ...asked, asOf: parseCheckpoint(checkpoint).size } : asked
    reply.header('cache-control', 'private, no-store')
    if (request.query.format === 'csv') return reply.type('text/csv; charset=utf-8').header('content-disposition', 'attachment; filename="export.csv"').send(Readable.from(rows(query), { objectMode: false }))
    reply.type('application/x-ndjson; charset=utf-8')
    return reply.send(Readable.from(exportLines(audit, query, checkpoint), { objectMode: false }))
  })

  async function * rows (query: RecordQuery): AsyncGenerator<string> {
    yield csvRow(COLUMNS)
    for await (const one of audit.stream({ ...query, payloads: true })) {
      const leaf = JSON.parse(one.leaf) as { type: string, t: number, key: string | null, key_seq: number | null, perspective?: { id?: string } | null, status?: string }
      yield csvRow([one.index, one.id, leaf.type, new Date(leaf.t).toISOString(), leaf.key, leaf.key_seq, leaf.perspective?.id, leaf.status, one.leaf_hash, one.leaf, one.payload.state === 'present' ? textOf(one.payload.bytes) : null])
    }
  }
}

const definedOf = (query: Record<string, unknown>): Json => Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as Json
