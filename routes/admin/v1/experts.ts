/** /admin/v1/experts: what answers for each perspective now, how its endpoints do, and the exchange of an adapter while it answers. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'

const config = { scope: 'admin' } as const
const tags = ['admin']
const security = [{ key: [] }]

const endpoint = z.object({
  name: z.string(), status: z.enum(['ok', 'open', 'half-open', 'parked', 'unhealthy']), reason: z.string().nullable(), in_flight: z.int(),
  calls: z.int(), failures: z.int(), opened: z.int(), retries: z.int(), hedges: z.int(),
})
const expert = z.object({
  perspective: z.string(), model: z.string(), adapter: z.string().nullable(), adapter_sha256: z.string().nullable(),
  available: z.boolean(), reason: z.string().nullable(), endpoints: z.array(endpoint),
})
const draining = z.object({ perspective: z.string(), adapter: z.string(), running: z.int() })

const exchangeBody = z.strictObject({
  adapter: z.string().regex(/^[\w.:-]{1,120}$/, 'wanted 1 to 120 letters, digits, dots, colons and hyphens').describe('Its name in vLLM: it means these weights for ever'),
  path: z.string().min(1).max(1000).describe('Where vLLM finds it, on its own disk'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'wanted 64 lower-case hex digits').describe('Of the weights; disclosed and recorded as you declare it, for the gateway cannot see vLLM\'s disk'),
  unload: z.boolean().default(true).describe('False where other replicas of the gateway still serve the old one: only the last of them unloads it'),
})
const exchangeObject = z.object({ perspective: z.string(), adapter: z.string(), adapter_sha256: z.string(), replaced: z.string().nullable(), unloading: z.boolean() })

export default async function routes (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { experts, adapters, exchanges } = app.services

  app.get('/experts', {
    config,
    schema: { tags, security, summary: 'What answers for each perspective, and how its endpoints do', description: 'By the names that the configuration gives them, never by their addresses.', response: { 200: z.object({ experts: z.array(expert), draining: z.array(draining) }) } },
  }, async () => ({
    experts: [...experts].map(([perspective, one]) => {
      const now = one.availability()
      const { model, adapter, adapterSha256 } = one.facts
      return {
        perspective, model, adapter, adapter_sha256: adapterSha256, available: now.ok, reason: now.ok ? null : now.reason,
        endpoints: (one.endpoints?.() ?? []).map(({ inFlight, ...rest }) => ({ ...rest, in_flight: inFlight })),
      }
    }),
    draining: [...exchanges.draining()],
  }))

  app.post('/experts/:perspective/switch', {
    config,
    schema: {
      tags, security, summary: 'Exchange the adapter of a perspective behind vLLM',
      description: 'Loads it on every endpoint under its own name, checks that it answers, puts it on record (`model.loaded`, `config.changed`), and only then lets new requests meet it. What had begun ends on the old one, which is unloaded when nothing runs on it any more. A failure at any step leaves the old one serving. The same name again loads it wherever vLLM has lost it.',
      params: z.object({ perspective: z.string().max(60) }), body: exchangeBody, response: { 200: exchangeObject },
    },
  }, async (request) => {
    const { adapter, path, sha256, unload } = request.body
    const { adapterSha256, ...done } = await adapters.exchange(request.params.perspective, { name: adapter, path, sha256 }, { by: request.caller!.key, unload })
    return { ...done, adapter_sha256: adapterSha256 }
  })
}
