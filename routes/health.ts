/** Is it alive, can it answer, what has it counted. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'

const check = z.object({ ok: z.boolean(), reason: z.string().optional() })
const expertCheck = check.extend({ endpoints: z.object({ up: z.int(), of: z.int() }).optional().describe('Of an expert made of endpoints: how many may be asked') })
const readiness = z.object({ status: z.enum(['ready', 'not ready']), checks: z.object({ audit: check, experts: z.record(z.string(), expertCheck) }) })

export default async function health (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { audit, experts } = app.services

  app.get('/healthz', {
    config: { public: true },
    schema: { tags: ['operations'], summary: 'Alive', response: { 200: z.object({ status: z.literal('ok') }) } },
  }, async () => ({ status: 'ok' as const }))

  app.get('/readyz', {
    config: { public: true },
    schema: { tags: ['operations'], summary: 'Ready: the audit log commits and an expert answers', description: 'Says of each part why it is not.', response: { 200: readiness, 503: readiness } },
  }, async (_request, reply) => {
    const log = audit.health()
    const each = [...experts].map(([id, expert]) => {
      const now = expert.availability()
      const endpoints = expert.endpoints?.()
      const up = endpoints && { endpoints: { up: endpoints.filter(({ status }) => status === 'ok' || status === 'half-open').length, of: endpoints.length } }
      return [id, now.ok ? { ok: true, ...up } : { ok: false, reason: now.reason, ...up }] as const
    })
    const ready = log.ok && each.some(([, now]) => now.ok)
    return reply.code(ready ? 200 : 503).header('cache-control', 'no-store').send({
      status: ready ? 'ready' : 'not ready',
      checks: { audit: log.ok ? { ok: true } : { ok: false, reason: log.reason }, experts: Object.fromEntries(each) },
    })
  })

  app.get('/metrics', {
    config: { public: 'loopback', scope: 'admin' },
    schema: { tags: ['operations'], summary: 'Prometheus metrics', description: 'Open on this machine; from elsewhere with an admin key.', security: [{ key: [] }, {}] },
  }, async (_request, reply) => reply.type(app.metrics.contentType).send(await app.metrics.metrics()))
}
