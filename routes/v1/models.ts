/** What can be named as a model, in OpenAI's shape. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ParallaxError } from '../../src/errors.ts'
import { asServed, declaredServing } from '../../src/perspectives/as-served.ts'
import type { Perspective } from '../../src/perspectives/perspective.ts'
import type { Registry } from '../../src/perspectives/registry.ts'
import { hintOf, named, NEUTRAL_MODEL } from '../../src/router/name.ts'

const model = z.object({
  id: z.string(), object: z.literal('model'), created: z.number(), owned_by: z.string(),
  perspective: z.object({ id: z.string(), label: z.string(), notice: z.string(), card: z.string() }).nullable(),
})

/** Whether a request may name it; what these perspectives cannot make is as little a model as what nobody declared. */
function askable (name: string, perspectives: Registry): boolean {
  try { return name === NEUTRAL_MODEL || named(name, perspectives) !== undefined } catch { return false }
}

/** Names that ask more than one perspective; `mix-` takes any share of the first of exactly two. */
const TOGETHER = ['both', 'both-summary', 'mix-0.50']

export default async function models (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { perspectives, experts, config } = app.services
  const started = Math.floor(Date.now() / 1000)
  const described = (id: string, one: Perspective | null): z.infer<typeof model> => ({
    id, object: 'model', created: started, owned_by: config.provider,
    perspective: one && { id: one.id, label: one.label, notice: asServed(one, experts.get(one.id)?.facts ?? declaredServing(one)).notice, card: `/v1/perspectives/${one.id}/card` },
  })
  // each time anew: a release exchanges declarations while this runs
  const all = () => [
    ...perspectives.list().flatMap((one) => [described(one.id, one), ...(one.alias === null ? [] : [described(one.alias, one)])]),
    ...TOGETHER.filter((name) => askable(name, perspectives)).map((name) => described(name, null)),
    described(NEUTRAL_MODEL, null),
  ]

  app.get('/models', {
    config: { public: true },
    schema: { tags: ['perspectives'], summary: 'The model names that can be asked for', description: `Each perspective by id and alias; "both" for all of them side by side, "both-summary" with a summary after them, "mix-0.50" for one of the two drawn by weight (any share: "mix-0.70"); and "${NEUTRAL_MODEL}" to set beside a member or header that names one.`, response: { 200: z.object({ object: z.literal('list'), data: z.array(model) }) } },
  }, async () => ({ object: 'list' as const, data: all() }))

  app.get('/models/:id', {
    config: { public: true },
    schema: { tags: ['perspectives'], summary: 'One model name', description: 'Any name that a request may give as its model, mixtures of any share included.', params: z.object({ id: z.string() }), response: { 200: model } },
  }, async (request) => {
    const { id } = request.params
    if (!askable(id, perspectives)) throw new ParallaxError('model_not_found', `The model ${JSON.stringify(id.slice(0, 60))} does not exist. There are: ${all().map((one) => one.id).join(', ')}.${hintOf(id, perspectives)}`, { param: 'model' })
    return described(id, perspectives.find(id) ?? null)
  })
}
