/** What the endpoints behind the experts say of themselves, for Prometheus. They count; this only shows. Never an address. */
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { Counter, Gauge } from 'prom-client'
import type { EndpointState } from '../src/experts/expert.ts'

export default plugin(async (app: FastifyInstance) => {
  const { experts } = app.services
  const registers = [app.metrics]
  const labelNames = ['perspective', 'endpoint']
  const each = (see: (labels: Record<string, string>, state: EndpointState) => void): void => {
    for (const [perspective, expert] of experts) for (const state of expert.endpoints?.() ?? []) see({ perspective, endpoint: state.name }, state)
  }
  new Gauge({ name: 'parallax_endpoint_up', help: '1 while an endpoint of a perspective may be asked.', labelNames, registers, collect () { each((labels, { status }) => this.set(labels, status === 'ok' || status === 'half-open' ? 1 : 0)) } })
  new Gauge({ name: 'parallax_endpoint_in_flight', help: 'Calls that an endpoint is answering.', labelNames, registers, collect () { each((labels, { inFlight }) => this.set(labels, inFlight)) } })
  const counted: [string, string, (state: EndpointState) => number][] = [
    ['calls', 'Calls to an endpoint.', ({ calls }) => calls],
    ['failures', 'Calls that failed by the endpoint\'s fault.', ({ failures }) => failures],
    ['opened', 'Times that an endpoint was taken out after failures in a row.', ({ opened }) => opened],
    ['retries', 'Calls that came because another endpoint had failed before its first byte.', ({ retries }) => retries],
    ['hedges', 'Calls that came because another endpoint was slow.', ({ hedges }) => hedges],
  ]
  for (const [name, help, read] of counted) {
    new Counter({ name: `parallax_endpoint_${name}_total`, help, labelNames, registers, collect () { this.reset(); each((labels, state) => this.inc(labels, read(state))) } })
  }
}, { name: 'endpoint-metrics', dependencies: ['metrics'] })
