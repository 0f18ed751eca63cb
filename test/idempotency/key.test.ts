import fc from 'fast-check'
import t from 'tap'
import { checkIdempotencyKey, fingerprintOf } from '../../src/idempotency/key.ts'

t.test('a key is 1 to 255 printable ASCII characters', async (t) => {
  for (const key of ['a', '8e03978e-40d5-43dd-bc93-6894a57f9324', '"quoted"', 'with a space', '~'.repeat(255)]) t.equal(checkIdempotencyKey(key), key)
  for (const key of ['', '~'.repeat(256), 'tab\there', 'é', 'new\nline', '\u007f', '😀']) t.throws(() => checkIdempotencyKey(key), { code: 'invalid_header', statusCode: 400 }, JSON.stringify(key))
})

const body = { model: 'parallax', perspective: 'progressive', temperature: 0, messages: [{ role: 'user', content: 'Taxation?' }] }

t.test('the order of members is nothing; every member, the header of the perspective and how the answer is carried are something', async (t) => {
  const print = fingerprintOf(body, undefined)
  t.match(print, /^[0-9a-f]{64}$/)
  fc.assert(fc.property(fc.shuffledSubarray(Object.keys(body), { minLength: 4 }), (names) => fingerprintOf(Object.fromEntries(names.map((name) => [name, body[name as keyof typeof body]])), undefined) === print))
  for (const other of [{ ...body, perspective: 'conservative' }, { ...body, stream: true }, { ...body, unknown: null }, { ...body, temperature: 0.1 }, { ...body, messages: [...body.messages, ...body.messages] }]) t.not(fingerprintOf(other, undefined), print, JSON.stringify(other))
  t.not(fingerprintOf(body, 'progressive'), print)
  t.not(fingerprintOf(body, 'progressive'), fingerprintOf(body, 'conservative'))
})

t.test('a number that JSON cannot hold is the caller\'s mistake', async (t) => {
  t.throws(() => fingerprintOf(JSON.parse('{"x":1e999}'), undefined), { code: 'invalid_request' })
})
