/** What each perspective is: its declaration, who answers for it now, its card. Public. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ParallaxError } from '../../src/errors.ts'
import { asServed, declaredServing, isAnother, NOT_MEASURED, type Serving } from '../../src/perspectives/as-served.ts'
import { declaration, type Perspective } from '../../src/perspectives/perspective.ts'

const described = declaration.extend({
  object: z.literal('perspective'),
  declaration_sha256: z.string().describe('Of the declaration\'s bytes; the log\'s `config.changed` records say which one was in force when'),
  card: z.string(),
  slant: z.union([z.literal(NOT_MEASURED), declaration.shape.slant.unwrap()]).describe('Of what answers now: "not measured" where that is another model than the one that was measured'),
  expert: z.object({ model: z.string(), adapter: z.string().nullable(), adapter_sha256: z.string().nullable(), available: z.boolean(), reason: z.string().nullable() }),
})

/** Stands above a card that is of another model than the one that answers. */
const anotherServes = ({ label, base, adapter }: Perspective, { model, adapter: name }: Serving): string =>
  `> **This card is not of what answers here.** For "${label}" the operator of this gateway has put ${JSON.stringify(model)}${name === null ? '' : ` with ${JSON.stringify(name)}`} in the place of ${adapter?.name ?? base.model}, which the card describes and which was measured.`

export default async function routes (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { perspectives, experts } = app.services
  const params = z.object({ id: z.string().describe('Id or alias') })

  const find = (name: string): Perspective => {
    const found = perspectives.find(name)
    if (found) return found
    throw new ParallaxError('unknown_perspective', `The perspective ${JSON.stringify(name)} does not exist. There are: ${perspectives.list().map((one) => one.id).join(', ')}.`, { param: 'perspective' })
  }
  const describe = (perspective: Perspective): z.infer<typeof described> => {
    const { folder: _folder, sha256, ...one } = perspective
    const expert = experts.get(one.id)
    const now = expert?.availability() ?? { ok: false as const, reason: 'Nothing serves it at present.' }
    return {
      ...one,
      object: 'perspective',
      declaration_sha256: sha256,
      card: `/v1/perspectives/${one.id}/card`,
      ...asServed(perspective, expert?.facts ?? declaredServing(perspective)),
      expert: {
        model: expert?.facts.model ?? one.base.model, adapter: expert?.facts.adapter ?? null, adapter_sha256: expert?.facts.adapterSha256 ?? null,
        available: now.ok, reason: now.ok ? null : now.reason,
      },
    }
  }

  app.get('/perspectives', {
    config: { public: true },
    schema: { tags: ['perspectives'], summary: 'Every perspective that can be asked for', description: 'In the order that their declarations give as `order`, which is also the order of choices side by side and says nothing of them.', response: { 200: z.object({ object: z.literal('list'), data: z.array(described) }) } },
  }, async () => ({ object: 'list' as const, data: perspectives.list().map(describe) }))

  app.get('/perspectives/:id', {
    config: { public: true },
    schema: { tags: ['perspectives'], summary: 'One perspective', params, response: { 200: described } },
  }, async (request) => describe(find(request.params.id)))

  app.get('/perspectives/:id/card', {
    config: { public: true },
    schema: { tags: ['perspectives'], summary: 'Its model card', description: 'Markdown: base, data, licences, recipe, what was measured and what was not.', params },
  }, async (request, reply) => {
    const one = find(request.params.id)
    const card = await readFile(join(one.folder, 'card.md'), 'utf8')
    const facts = experts.get(one.id)?.facts
    return reply.type('text/markdown; charset=utf-8').send(facts && isAnother(one, facts) ? `${anotherServes(one, facts)}\n\n${card}` : card)
  })
}
