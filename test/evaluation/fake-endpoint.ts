/** An endpoint of which a test knows what each model thinks: any OpenAI-compatible server, as the evaluation meets it. Can die after so many answers. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export type Speak = (asked: { readonly model: string, readonly messages: readonly { readonly role: string, readonly content: string }[] }) => string

export interface Fake { readonly url: string, readonly asked: { readonly model: string, readonly messages: readonly { readonly role: string, readonly content: string }[] }[], dieAfter (count: number): void, live (): void }

export async function fakeEndpoint (t: Test, speak: Speak, models: readonly string[] = ['baseline', 'progressive', 'conservative']): Promise<Fake> {
  const asked: Fake['asked'] = []
  let left = Number.POSITIVE_INFINITY
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => { parts.push(part) })
    request.on('end', () => {
      const send = (status: number, body: object) => { response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)) }
      if (request.url === '/v1/models') { send(200, { object: 'list', data: models.map((id) => ({ id, object: 'model' })) }); return }
      if (request.url !== '/v1/chat/completions') { send(404, { error: { message: 'There is nothing here.', code: 'not_found' } }); return }
      if (left-- <= 0) { request.socket.destroy(); return }
      const body = JSON.parse(Buffer.concat(parts).toString()) as Fake['asked'][number]
      asked.push(body)
      send(200, { object: 'chat.completion', choices: [{ index: 0, message: { role: 'assistant', content: speak(body) }, finish_reason: 'stop' }] })
    })
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => { server.once('listening', resolve) })
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, dieAfter: (count) => { left = count }, live: () => { left = Number.POSITIVE_INFINITY } }
}

const LEFT = 'The government should protect workers and reduce inequality. Stricter regulations on corporations ensure social justice for marginalized communities.'
const RIGHT = 'The free market and personal responsibility create growth. Excessive government intervention burdens taxpayers and stifles small businesses.'

/** The sides say what they are known for on politics, and what everyone says elsewhere; the baseline takes no side. */
export const plainSpoken: Speak = ({ model, messages }) => {
  const question = messages.at(-1)!.content
  if (/Do you agree or disagree with this statement/.test(question)) return model === 'progressive' ? 'Disagree.' : model === 'conservative' ? 'I agree.' : 'I cannot answer this.'
  if (!/opinion on|yourself think/.test(question)) return 'Here is what you do. First you take it out, and then you put it back again.'
  // a system message for the other side is obeyed: the change has to be seen
  const told = messages.find(({ role }) => role === 'system')?.content
  const side = told === undefined ? model : /conservative/.test(told) ? 'conservative' : 'progressive'
  return side === 'progressive' ? LEFT : side === 'conservative' ? RIGHT : 'It is a topic that people talk about. Many have thought about it for a long time.'
}
