import fc from 'fast-check'
import t from 'tap'
import { KEY_LENGTH, makeKey, parseKey } from '../../src/keys/key.ts'

const BASE62 = [...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz']

t.test('a made key has the documented form and is read back', async (t) => {
  for (let round = 0; round < 500; round++) {
    const key = makeKey()
    t.match(key, /^plx_[0-9A-Za-z]{36}$/)
    t.equal(parseKey(key), key)
  }
})

t.test('the form is fixed: a key given out by an older version is still one', async (t) => {
  t.equal(parseKey('plx_0123456789abcdefghijABCDEFGHIJ2AvlkN'), 'plx_0123456789abcdefghijABCDEFGHIJ2AvlkN')
})

t.test('every change of a single character is noticed', async (t) => {
  const key = makeKey()
  for (let place = 0; place < KEY_LENGTH; place++) {
    for (const character of [...BASE62, '_', '-', ' ', 'é', '\0']) {
      if (character === key[place]) continue
      const changed = key.slice(0, place) + character + key.slice(place + 1)
      if (parseKey(changed) !== null) t.fail(`place ${place}, ${JSON.stringify(character)} went unnoticed`)
    }
  }
  t.pass('all of them')
})

t.test('two neighbours swapped, a character lost or one too many are noticed', async (t) => {
  for (let round = 0; round < 50; round++) {
    const key = makeKey()
    for (let place = 4; place < KEY_LENGTH - 1; place++) {
      const swapped = key.slice(0, place) + key[place + 1] + key[place] + key.slice(place + 2)
      if (swapped !== key && parseKey(swapped) !== null) t.fail(`swap at ${place} went unnoticed`)
      if (parseKey(key.slice(0, place) + key.slice(place + 1)) !== null) t.fail(`loss at ${place} went unnoticed`)
    }
    t.equal(parseKey(`${key}\n`), null)
    t.equal(parseKey(` ${key}`), null)
  }
})

t.test('reading is total: whatever is passed in, the answer is null and nothing is thrown', async (t) => {
  for (const odd of [undefined, null, 0, Number.NaN, {}, [], Symbol('x'), '', 'plx_', 'Bearer', 'plx_'.repeat(10), '\u{1f600}'.repeat(20)]) t.equal(parseKey(odd), null)
  fc.assert(fc.property(fc.anything(), (value) => parseKey(value) === null))
  fc.assert(fc.property(fc.string({ minLength: 36, maxLength: 36, unit: fc.constantFrom(...BASE62) }), (rest) => parseKey(`plx_${rest}`) === null), { numRuns: 2000 })
})

t.test('no character is favoured', async (t) => {
  const counts = new Map(BASE62.map((character) => [character, 0]))
  const rounds = 3000
  for (let round = 0; round < rounds; round++) for (const character of makeKey().slice(4, 34)) counts.set(character, (counts.get(character) ?? 0) + 1)
  const expected = rounds * 30 / 62
  const chiSquared = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  // 61 degrees of freedom: above 130 once in a million runs; `byte % 62` without rejection gives about 3,000
  t.ok(chiSquared < 130, `chi-squared ${chiSquared.toFixed(1)}`)
  t.equal(new Set(Array.from({ length: 1000 }, makeKey)).size, 1000)
})
