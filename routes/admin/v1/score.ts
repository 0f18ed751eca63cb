/** /admin/v1/score: how likely a perspective finds given texts. Nothing is said and nothing changes, so nothing is put on record. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ParallaxError } from '../../../src/errors.ts'

const message = z.strictObject({ role: z.enum(['system', 'user', 'assistant']), content: z.string() })
const item = z.strictObject({
  messages: z.array(message).min(1).max(64).optional().describe('Written by the model\'s chat template; the continuations are scored as the answer'),
  prompt: z.string().optional().describe('Or a text that is taken as it is; may be empty, and then the first token only begins'),
  continuations: z.array(z.string().min(1)).min(1).max(64),
})
const body = z.strictObject({
  perspective: z.string().min(1).max(60).describe('Id or alias. There is no default.'),
  items: z.array(item).min(1).max(64).describe('At most 16,384 tokens in all'),
})
const score = z.object({ tokens: z.int(), sum: z.number(), mean: z.number() })
const reply = z.object({
  object: z.literal('score'), perspective: z.string(), model: z.string(), base_sha256: z.string(), adapter: z.string().nullable(), adapter_sha256: z.string().nullable(),
  items: z.array(z.object({ prompt_tokens: z.int(), continuations: z.array(score) })),
})

export default async function routes (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { perspectives, experts } = app.services

  app.post('/score', {
    config: { scope: 'admin' },
    schema: {
      tags: ['admin'], security: [{ key: [] }], summary: 'How likely a perspective finds given texts',
      description: 'The natural logarithm of the probability of each continuation after its prompt, summed and as a mean a token, under the perspective\'s own adapter. For measuring: the reply names the digests of base and adapter. Experts that cannot tell are a 400 (`scoring_unsupported`): so far only the embedded engine can.',
      body, response: { 200: reply },
    },
  }, async (request, answered) => {
    const { perspective: name, items } = request.body
    const perspective = perspectives.find(name)
    const expert = perspective && experts.get(perspective.id)
    if (!perspective || !expert) throw new ParallaxError('unknown_perspective', `The perspective ${JSON.stringify(name)} does not exist. Known are: ${perspectives.list().map(({ id }) => id).join(', ')}.`, { param: 'perspective' })
    const now = expert.availability()
    if (!now.ok) throw new ParallaxError('expert_unavailable', `The perspective "${perspective.id}" cannot score now: ${now.reason}`, { param: 'perspective', retryAfter: now.retryAfter })
    if (!expert.scoring) throw new ParallaxError('scoring_unsupported', `What answers for "${perspective.id}" cannot say how likely it finds a text. The embedded engine can.`, { param: 'perspective' })
    const left = new AbortController()
    answered.raw.once('close', () => { if (!answered.raw.writableFinished) left.abort(new ParallaxError('request_timeout', 'The caller has left.')) })
    const scored = await expert.scoring.score(items, left.signal)
    const { model, adapter, adapterSha256 } = expert.facts
    return { object: 'score' as const, perspective: perspective.id, model, base_sha256: perspective.base.sha256, adapter, adapter_sha256: adapterSha256, items: scored as z.infer<typeof reply>['items'] }
  })
}
