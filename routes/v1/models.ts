/** What can be named as a model, in OpenAI's shape. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ParallaxError } from '../../src/errors.ts'
import type { Perspective } from '../../src/perspectives/perspective.ts'
import { NEUTRAL_MODEL } from '../../src/router/name.ts'

const model = z.object({
  id: z.string(), object: z.literal('model'), created: z.number(), owned_by: z.string(),
  perspective: z.object({ id: z.string(), label: z.string(), notice: z.string(), card: z.string() }).nullable(),
})

/** Names that ask more than one perspective; `mix-` takes any share of the first of exactly two. */
const together = (sides: number): string[] => sides < 2 ? [] : ['both', 'both-summary', ...(sides === 2 ? ['mix-0.50'] : [])]

export default async function models (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { perspectives, config } = app.services
  const started = Math.floor(Date.now() / 1000)
  const described = (id: string, one: Perspective | null): z.infer<typeof model> => ({
    id, object: 'model', created: started, owned_by: config.provider,
    perspective: one && { id: one.id, label: one.label, notice: one.notice, card: `/v1/perspectives/${one.id}/card` },
  })
  const all = [
    ...perspectives.list().flatMap((one) => [described(one.id, one), ...(one.alias === null ? [] : [described(one.alias, one)])]),
    ...together(perspectives.sides().length).map((name) => described(name, null)),
    described(NEUTRAL_MODEL, null),
  ]

  app.get('/models', {
    config: { public: true },
    schema: { tags: ['perspectives'], summary: 'The model names that can be asked for', description: `Each perspective by id and alias; "both" for all of them side by side, "both-summary" with a summary after them, "mix-0.50" for one of the two drawn by weight (any share: "mix-0.70"); and "${NEUTRAL_MODEL}" to set beside a member or header that names one.`, response: { 200: z.object({ object: z.literal('list'), data: z.array(model) }) } },
  }, async () => ({ object: 'list' as const, data: all }))

  app.get('/models/:id', {
    config: { public: true },
    schema: { tags: ['perspectives'], summary: 'One model name', params: z.object({ id: z.string() }), response: { 200: model } },
  }, async (request) => {
    const found = all.find((one) => one.id === request.params.id)
    if (!found) throw new ParallaxError('model_not_found', `The model ${JSON.stringify(request.params.id)} does not exist. There are: ${all.map((one) => one.id).join(', ')}.`, { param: 'model' })
    return found
  })
}
