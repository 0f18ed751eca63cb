/** Chat, in OpenAI's shape. */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { ReaderGone } from '../../../src/chat/frame-stream.ts'
import { chatRequest } from '../../../src/chat/request.ts'

const header = (value: string | string[] | undefined): string | undefined => Array.isArray(value) ? value.join(',') : value

const errorBody = z.object({ error: z.looseObject({ message: z.string(), type: z.string(), param: z.string().nullable(), code: z.string() }) })

export default async function completions (app: FastifyInstance): Promise<void> {
  const { chat } = app.services

  app.post('/completions', {
    config: { scope: 'app', disclosed: true, recorded: true },
    // the schema is for the documentation; chat/request reads the body, for its errors name the remedy
    validatorCompiler: () => () => true,
    schema: {
      tags: ['chat'],
      summary: 'Answer from a perspective',
      description: 'OpenAI\'s chat completions. Name the perspective in the member "perspective", the header "Perspective", or the model name; none is ever chosen for you. The answer says who spoke, in its headers and in its member "perspective". ' +
        '"both" answers from all of them side by side: one choice each, with its own member "perspective" and its own receipt; one that fails ends with finish_reason "error" and a member "error" in its choice. {"id": "both", "summary": true} adds the baseline\'s summary as the last choice. ' +
        '{"weights": {…}} draws one of them ("mixture": "sample", with "sticky" and "seed") or mixes their adapters ("blend").',
      security: [{ key: [] }],
      headers: z.object({ perspective: z.string().optional().describe('A perspective\'s id or alias'), 'idempotency-key': z.string().optional().describe('1 to 255 printable ASCII characters, such as a UUID: whoever comes again with it gets the first answer again') }),
      body: chatRequest,
      response: {
        200: z.looseObject({ id: z.string(), object: z.string(), created: z.number(), model: z.string(), choices: z.array(z.looseObject({})), perspective: z.looseObject({}), audit: z.looseObject({}) }).describe('A chat.completion, or with "stream": true its chunks as server-sent events'),
        '4xx': errorBody,
        '5xx': errorBody,
      },
    },
    serializerCompiler: () => (data) => typeof data === 'string' ? data : JSON.stringify(data),
  }, async (request, reply) => {
    const work = new AbortController()
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) work.abort(new ReaderGone('The client has left.'))
    })
    const answer = await chat.answer({
      body: request.body,
      raw: request.rawBody ?? new Uint8Array(),
      perspectiveHeader: header(request.headers['perspective']),
      cacheControl: request.headers['cache-control'],
      idempotencyKey: header(request.headers['idempotency-key']),
      caller: request.caller!,
      requestId: request.id,
      work,
      told: request.told!,
    })
    if (answer.kind === 'json') return reply.type('application/json; charset=utf-8').send(answer.text)
    return reply.type('text/event-stream; charset=utf-8').header('x-accel-buffering', 'no').send(answer.stream)
  })
}
