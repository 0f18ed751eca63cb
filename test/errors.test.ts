import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ERRORS, ParallaxError, type ErrorCode } from '../src/errors.ts'
import { asParallaxError, errorReply } from '../src/replies.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const documented = new Map([...readFileSync(`${root}docs/errors.md`, 'utf8').matchAll(/^\| `(\w+)` \| (\d{3}) \| (.+) \| (.+) \|$/gm)].map((row) => [row[1]!, Number(row[2])]))

t.test('every code is documented with its status, and nothing else is', async (t) => {
  t.same(Object.fromEntries(documented), Object.fromEntries(Object.entries(ERRORS).map(([code, { status }]) => [code, status])))
})

t.test('every code is used by the source', async (t) => {
  const sources = ['src', 'plugins', 'routes'].flatMap((folder) => readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts') && `${folder}/${file}` !== 'src/errors.ts').map((file) => readFileSync(`${root}${folder}/${file}`, 'utf8'))).join('\n')
  for (const code of Object.keys(ERRORS)) t.match(sources, `'${code}'`, code)
})

t.test('a body has all four members of OpenAI\'s error, whatever was left out', async (t) => {
  const { error } = new ParallaxError('internal_error', 'm').body()
  t.same(error, { message: 'm', type: 'server_error', param: null, code: 'internal_error' })
})

t.test('Retry-After is between one second and sixty, for SDKs ignore more', async (t) => {
  for (const [seconds, told] of [[0, '1'], [0.2, '1'], [17, '17'], [4000, '60']] as const) {
    t.equal(errorReply(new ParallaxError('expert_overloaded', 'm', { retryAfter: seconds }), '/v1/x', 'r').headers['retry-after'], told)
  }
})

t.test('an error brings its own headers along, and cannot overwrite what every error says', async (t) => {
  const { headers } = errorReply(new ParallaxError('rate_limit_exceeded', 'm', { retryAfter: 3, headers: { ratelimit: '"requests";r=0;t=3', 'cache-control': 'public' } }), '/v1/x', 'r')
  t.match(headers, { ratelimit: '"requests";r=0;t=3', 'retry-after': '3', 'cache-control': 'no-store', 'x-should-retry': 'true' })
})

t.test('a defect tells nothing of its cause', async (t) => {
  const reply = errorReply(asParallaxError(new Error('the prompt was: secret'), 10), '/v1/chat/completions', 'r')
  t.equal(reply.status, 500)
  t.notMatch(reply.body, /secret/)
})

t.test('outside /v1 an error is a problem of RFC 9457 with the same code', async (t) => {
  const reply = errorReply(new ParallaxError('record_not_found' satisfies ErrorCode, 'There is none.'), '/audit/v1/records/x', 'req-1')
  t.match(reply.headers['content-type'], /^application\/problem\+json/)
  t.same(JSON.parse(reply.body), { type: 'about:blank', title: 'Record not found', status: 404, detail: 'There is none.', instance: 'urn:request:req-1', code: 'record_not_found' })
})
