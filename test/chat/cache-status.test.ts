import t from 'tap'
import { CacheStatus } from '../../src/chat/cache-status.ts'

t.test('of several voices the one furthest from the cache is told, and "stored" only where each that was asked is kept', async (t) => {
  const told: { cacheStatus?: string } = {}
  const status = new CacheStatus(told)
  status.add({ fwd: 'miss' }, 0)
  status.add({ fwd: 'miss' }, 1)
  status.stored(1)
  t.equal(told.cacheStatus, 'parallax; fwd=miss', 'the other one is not, yet')
  status.stored(0)
  t.equal(told.cacheStatus, 'parallax; fwd=miss; stored')
  status.add({ hit: true, ttl: 5 }, 0)
  t.equal(told.cacheStatus, 'parallax; fwd=miss; stored', 'a hit is nearer than what was made now')
  status.add({ fwd: 'bypass' }, 2)
  t.equal(told.cacheStatus, 'parallax; fwd=bypass')
  status.stored(7)
  status.stored(0)
  t.equal(told.cacheStatus, 'parallax; fwd=bypass', 'a hit, and a voice that is not there, are never stored')
})
