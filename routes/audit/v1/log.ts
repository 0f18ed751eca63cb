/** The log's tree, for whoever wants to check it: checkpoint, tiles and proofs in C2SP's forms. Public and unrecorded, but for the entries. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { parseTilePath, TILE_WIDTH, type Tile } from '../../../src/audit/tile.ts'
import { ParallaxError } from '../../../src/errors.ts'
import { queryOf, wholeNumber } from '../../../src/query.ts'
import { newId } from '../../../src/ids.ts'

/** A full tile can never change; a part of one neither, but a wider one takes its place. */
const IMMUTABLE = 'public, max-age=31536000, immutable'
const text = (reply: FastifyReply, body: string): FastifyReply => reply.type('text/plain; charset=utf-8').send(body)

/** No path, no address and no reason: they are the operator's, who finds them in the server log. */
const anchor = {
  to: z.enum(['file', 'url', 'witness']),
  name: z.string().nullable().describe('A witness\'s name'),
  every_seconds: z.number().int(),
  size: z.number().int().nullable(),
  at: z.iso.datetime().nullable(),
  failing: z.boolean(),
}

export default async function log (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { audit, anchors } = app.services
  const rest = z.object({ '*': z.string() })

  const tileOf = (path: string): Tile => {
    const tile = parseTilePath(path)
    if (!tile) throw new ParallaxError('not_found', `There is no tile ${JSON.stringify(path.slice(0, 100))}. The paths are those of C2SP tlog-tiles.`)
    return tile
  }
  const bytesOf = async (tile: Tile): Promise<Uint8Array> => {
    const bytes = await audit.tree.tile(tile)
    if (!bytes) throw new ParallaxError('not_found', 'The tree does not reach so far. Ask for the part of the tile that its newest checkpoint covers.')
    return bytes
  }

  app.get('/log', {
    config: { public: true },
    schema: { tags: ['audit'], summary: 'The log\'s name and the key that checks it', description: 'Compare the key with one that you had from elsewhere: a log that gives out its own key proves nothing by it.', response: { 200: z.object({ origin: z.string(), verifier: z.string(), checkpoint: z.string() }) } },
  }, async () => ({ origin: audit.tree.origin, verifier: audit.tree.verifier, checkpoint: '/audit/v1/log/checkpoint' }))

  app.get('/log/checkpoint', {
    config: { public: true },
    schema: { tags: ['audit'], summary: 'The newest signed checkpoint', description: 'C2SP tlog-checkpoint: a signed note over the size and the root of the tree.' },
  }, async (_request, reply) => text(reply.header('cache-control', 'no-cache'), audit.tree.checkpoint()))

  app.get('/log/checkpoint/witnessed', {
    config: { public: true },
    schema: { tags: ['audit'], summary: 'The newest checkpoint that a witness signed', description: 'C2SP tlog-checkpoint with the lines of witnesses (tlog-cosignature) beside the log\'s own. A witness signs only a tree that grew out of the one that it signed before: check its line with its key, which you have from elsewhere.' },
  }, async (_request, reply) => {
    const note = anchors.witnessed()
    if (note === null) throw new ParallaxError('not_found', 'No witness has signed a checkpoint since the gateway was started. GET /audit/v1/log/anchors tells which are asked.')
    return text(reply.header('cache-control', 'no-cache'), note)
  })

  app.get('/log/anchors', {
    config: { public: true },
    schema: { tags: ['audit'], summary: 'Where checkpoints are published, and which arrived there last', description: 'Ask whoever keeps them, not only the gateway, what they hold. `size` and `at` are of the last that was published since the gateway was started; an unchanged tree is not published again.', response: { 200: z.object({ anchors: z.array(z.object(anchor)) }) } },
  }, async (_request, reply) => {
    void reply.header('cache-control', 'no-cache')
    return { anchors: anchors.state().map(({ to, name, everySeconds, size, at, failed }) => ({ to, name, every_seconds: everySeconds, size, at: at === null ? null : new Date(at).toISOString(), failing: failed !== null })) }
  })

  app.get('/log/proof/:index', {
    config: { public: true },
    schema: { tags: ['audit'], summary: 'The proof that a leaf is in the log', description: 'C2SP tlog-proof, against the newest checkpoint, which it holds: it can be checked without asking here again.', params: z.object({ index: wholeNumber().min(0) }) },
  }, async (request, reply) => {
    const proof = await audit.tree.proof(request.params.index)
    if (proof === null) throw new ParallaxError('record_not_found', `There is no leaf ${request.params.index} in this log yet.`)
    return text(reply.header('cache-control', 'no-cache'), proof)
  })

  app.get('/log/tile/*', {
    config: { public: true },
    schema: { tags: ['audit'], summary: 'A tile of the tree', description: 'C2SP tlog-tiles: up to 256 hashes of 32 bytes.', params: rest },
  }, async (request, reply) => {
    const tile = tileOf(`tile/${request.params['*']}`)
    return reply.header('cache-control', tile.width === TILE_WIDTH ? IMMUTABLE : 'public, max-age=60').type('application/octet-stream').send(Buffer.from(await bytesOf(tile)))
  })

  app.get('/log/tile/entries/*', {
    config: { scope: 'auditor' },
    schema: { tags: ['audit'], security: [{ key: [] }], summary: 'The leaves of a tile', description: 'C2SP tlog-tiles: each leaf behind its length. The reading is itself a record.', params: rest, querystring: queryOf({}) },
  }, async (request, reply) => {
    const tile = tileOf(`tile/entries/${request.params['*']}`)
    await audit.append([{ type: 'audit.read', id: newId(), key: request.caller!.key, fields: { read: 'entries', request: request.id, tile: tile.index, width: tile.width } }])
    return reply.header('cache-control', 'private, no-store').type('application/octet-stream').send(Buffer.from(await bytesOf(tile)))
  })
}
