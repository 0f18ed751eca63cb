import canonicalize from 'canonicalize'
import fc from 'fast-check'
import t from 'tap'
import { canonical } from '../src/canonical.ts'

t.test('canonical JSON is RFC 8785\'s, as an independent implementation writes it, for objects small and large', async (t) => {
  const name = fc.string({ unit: 'grapheme', maxLength: 8 })
  const value = fc.jsonValue({ maxDepth: 3 })
  for (const maxKeys of [5, 60]) {
    fc.assert(fc.property(fc.dictionary(name, value, { maxKeys, minKeys: maxKeys > 16 ? 17 : 0 }), (object) => canonical(object) === canonicalize(object)), { numRuns: 300 })
  }
  t.throws(() => canonical({ a: Infinity }), RangeError)
  t.equal(canonical({ b: undefined, a: 1 }), '{"a":1}')
})
