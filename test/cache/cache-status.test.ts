import { parseList } from 'structured-headers'
import t from 'tap'
import { cacheStatus, type Fate } from '../../src/cache/cache-status.ts'

/** The header as a stranger's parser reads it. */
const read = (fate: Fate) => {
  const [[name, parameters]] = parseList(cacheStatus(fate)) as unknown as [[{ toString (): string }, Map<string, boolean | number | { toString (): string }>]]
  return { name: name.toString(), ...Object.fromEntries([...parameters].map(([key, value]) => [key, typeof value === 'object' ? value.toString() : value])) }
}

t.test('what happened at the cache is a member of RFC 9211', async (t) => {
  t.equal(cacheStatus({ hit: true, ttl: 120.7 }), 'parallax; hit; ttl=120')
  t.equal(cacheStatus({ fwd: 'miss', stored: true }), 'parallax; fwd=miss; stored')
  t.same(read({ hit: true, ttl: 0 }), { name: 'parallax', hit: true, ttl: 0 })
  t.same(read({ fwd: 'miss', collapsed: true }), { name: 'parallax', fwd: 'miss', collapsed: true })
  t.same(read({ fwd: 'request', stored: true }), { name: 'parallax', fwd: 'request', stored: true })
  t.same(read({ fwd: 'bypass', stored: false }), { name: 'parallax', fwd: 'bypass' })
})
