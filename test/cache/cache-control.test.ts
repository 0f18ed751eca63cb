import fc from 'fast-check'
import t from 'tap'
import { parseCacheControl } from '../../src/cache/cache-control.ts'

const NONE = { noCache: false, noStore: false, onlyIfCached: false, maxAge: null, minFresh: null }

t.test('directives are read as RFC 9111 writes them, in any case, order and spacing', async (t) => {
  const read: [header: string | undefined, wanted: Partial<typeof NONE> | { maxAge?: number, minFresh?: number }][] = [
    [undefined, {}], ['', {}], [' , ,', {}], ['max-stale=5, unknown, another="max-age=3, no-store"', {}],
    ['no-cache', { noCache: true }], ['NO-Cache , No-Store', { noCache: true, noStore: true }], ['no-store,only-if-cached', { noStore: true, onlyIfCached: true }],
    ['max-age=60', { maxAge: 60 }], ['max-age="60"', { maxAge: 60 }], ['max-age = 60', { maxAge: 60 }], ['min-fresh=5,max-age=60', { minFresh: 5, maxAge: 60 }],
    ['max-age=99999999999999999999', { maxAge: 2 ** 31 }],
    ['extension="\\", no-store", max-age=1', { maxAge: 1 }], ['no-cache="set-cookie"', { noCache: true }],
  ]
  for (const [header, wanted] of read) t.same(parseCacheControl(header), { ...NONE, ...wanted }, String(header))
})

t.test('where a directive is unclear the stricter reading counts', async (t) => {
  const read: [header: string, maxAge: number | null, minFresh?: number][] = [
    ['max-age', 0], ['max-age=', 0], ['max-age=-1', 0], ['max-age=1.5', 0], ['max-age=soon', 0], ['max-age=60, max-age=10', 10], ['max-age=10, max-age=60', 10], 
    ['min-fresh=x', null, 2 ** 31], ['min-fresh=1, min-fresh=9', null, 9],
  ]
  for (const [header, maxAge, minFresh = null] of read) t.match(parseCacheControl(header), { maxAge, minFresh }, header)
  for (const header of ['max-age=60 no-store', 'a="b, no-store', '"no-store"', '= no-store', `no-cache, ${'x'.repeat(2000)}`]) t.equal(parseCacheControl(header).noStore, true, header.slice(0, 30))
})

t.test('any text is read without an error, and quickly', async (t) => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (header) => typeof parseCacheControl(header).noCache === 'boolean'))
  const before = performance.now()
  for (const text of ['="', 'a = ', 'x ', '\\"', '\\', 'a', ' ']) {
    for (const opening of ['', 'a="']) parseCacheControl((opening + text.repeat(1024)).slice(0, 1024))
  }
  t.ok(performance.now() - before < 100, `${Math.round(performance.now() - before)} ms`)
})
