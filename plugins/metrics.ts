/** Counts what happens, for Prometheus. A registry of its own for each app, so that two in one process do not mix. */
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

declare module 'fastify' {
  interface FastifyInstance { metrics: Registry }
}

const SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120]

export default plugin(async (app: FastifyInstance) => {
  const { anchors, audit, cache, experts, feedback, flights, idempotency, limits } = app.services
  const register = new Registry()
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: 50 })
  const requests = new Counter({ name: 'parallax_http_requests_total', help: 'Replies by route and status.', labelNames: ['method', 'route', 'status'], registers: [register] })
  const duration = new Histogram({ name: 'parallax_http_request_seconds', help: 'Time from the request to the end of its reply.', labelNames: ['route'], buckets: SECONDS, registers: [register] })
  const answers = new Counter({ name: 'parallax_answers_total', help: 'Chat replies by the perspective that spoke.', labelNames: ['perspective', 'mode', 'status'], registers: [register] })
  const firstChunk = new Histogram({ name: 'parallax_first_chunk_seconds', help: 'Time from the request to the first words of a streamed answer.', labelNames: ['perspective'], buckets: SECONDS, registers: [register] })
  const tokens = new Counter({ name: 'parallax_tokens_total', help: 'Tokens as the experts counted them.', labelNames: ['perspective', 'direction'], registers: [register] })
  const lookups = new Counter({ name: 'parallax_cache_total', help: 'Cache lookups by what came of them.', labelNames: ['result'], registers: [register] })
  new Gauge({ name: 'parallax_cache_up', help: '1 while the cache can be asked; without it answers are slower, not fewer.', registers: [register], collect () { this.set(cache.up() ? 1 : 0) } })
  // counted by the rooms themselves: no reply tells them
  const counted = (name: string, help: string, now: () => number) => new Counter({ name, help, registers: [register], collect () { this.reset(); this.inc(now()) } })
  counted('parallax_cache_kept_total', 'Answers that were kept.', () => cache.counts().kept)
  counted('parallax_cache_errors_total', 'Commands to the shared cache that failed, were not waited for, or brought back something spoilt.', () => cache.counts().errors)
  counted('parallax_cache_calls_total', 'Calls to experts that others may join.', () => flights.counts().called)
  counted('parallax_cache_collapsed_total', 'Askers who were answered by a call of somebody else.', () => flights.counts().collapsed)
  new Gauge({ name: 'parallax_audit_leaves', help: 'Leaves in the audit log.', registers: [register], collect () { this.set(audit.size()) } })
  new Gauge({ name: 'parallax_audit_up', help: '1 while the audit log can commit.', registers: [register], collect () { this.set(audit.health().ok ? 1 : 0) } })
  new Gauge({ name: 'parallax_audit_commit_seconds', help: 'Duration of the last commit of the audit log.', registers: [register], collect () { const health = audit.health(); if (health.ok) this.set(health.lastCommitMs / 1000) } })
  new Gauge({ name: 'parallax_expert_up', help: '1 while the expert of a perspective can be asked.', labelNames: ['perspective'], registers: [register], collect () { for (const [id, expert] of experts) this.set({ perspective: id }, expert.availability().ok ? 1 : 0) } })
  new Gauge({ name: 'parallax_engine_restarts', help: 'Restarts of the embedded engine.', registers: [register], collect () { const { engine } = app.services; if (engine) this.set(engine.state().restarts) } })

  // counted by the limits themselves, which know by which limit
  new Counter({
    name: 'parallax_limits_refused_total', help: 'Requests that were not let in, by the limit that stood in the way; unavailable: it could not be looked up.', labelNames: ['limit'], registers: [register],
    collect () {
      this.reset()
      for (const [limit, times] of Object.entries(limits.refused)) this.inc({ limit }, times)
    },
  })

  new Counter({
    name: 'parallax_idempotency_total', help: 'Requests with an Idempotency-Key by what came of them; unkept: answered, and not kept for whoever comes again.', labelNames: ['result'], registers: [register],
    collect () {
      this.reset()
      for (const [result, times] of Object.entries(idempotency.counts)) this.inc({ result }, times)
    },
  })

  new Counter({
    name: 'parallax_feedback_total', help: 'What was said of answers through this gateway, by its kind; withdrawn: taken back.', labelNames: ['kind'], registers: [register],
    collect () {
      this.reset()
      for (const [kind, times] of Object.entries(feedback.told)) this.inc({ kind }, times)
    },
  })

  // of several targets of a kind the worst counts
  const anchorsByKind = () => Map.groupBy(anchors.state(), (one) => one.to)
  new Gauge({
    name: 'parallax_anchor_up', help: '1 while the last attempt to publish a checkpoint worked, for all targets of this kind.', labelNames: ['to'], registers: [register],
    collect () { for (const [to, all] of anchorsByKind()) this.set({ to }, all.every((one) => one.failed === null) ? 1 : 0) },
  })
  new Gauge({
    name: 'parallax_anchor_age_seconds', help: 'Time since a checkpoint was published to all targets of this kind; grows while the log does not.', labelNames: ['to'], registers: [register],
    collect () { for (const [to, all] of anchorsByKind()) if (all.every((one) => one.at !== null)) this.set({ to }, (Date.now() - Math.min(...all.map((one) => one.at!))) / 1000) },
  })

  /** All that a kind of reply counts in, bound to its labels once and not hashed anew at every reply. */
  const bind = (method: string, route: string, status: number, perspective: string, mode: string) => ({
    requests: requests.labels({ method, route, status }),
    duration: duration.labels({ route }),
    answers: answers.labels({ perspective, mode, status }),
    firstChunk: firstChunk.labels({ perspective }),
    tokensIn: tokens.labels({ perspective, direction: 'in' }),
    tokensOut: tokens.labels({ perspective, direction: 'out' }),
  })
  const bound = new Map<string, ReturnType<typeof bind>>()

  app.decorate('metrics', register)
  app.addHook('onResponse', (request, reply, done) => {
    const { told, method } = request
    const route = request.routeOptions.url ?? '(none)'
    const { id = '(none)', mode = '(none)' } = told?.disclosure?.member ?? {}
    const kind = `${method} ${route} ${reply.statusCode} ${id} ${mode}`
    let into = bound.get(kind)
    if (!into) bound.set(kind, into = bind(method, route, reply.statusCode, id, mode))
    into.requests.inc()
    into.duration.observe(reply.elapsedTime / 1000)
    if (told) {
      into.answers.inc()
      if (told.firstChunkMs !== undefined) into.firstChunk.observe(told.firstChunkMs / 1000)
      if (told.tokens) {
        into.tokensIn.inc(told.tokens[0])
        into.tokensOut.inc(told.tokens[1])
      }
      if (told.cacheStatus) lookups.inc({ result: /hit|miss|request|bypass/.exec(told.cacheStatus)?.[0] ?? 'other' })
    }
    done()
  })
}, { name: 'metrics', dependencies: ['told'] })
