import t from 'tap'
import { newId } from '../src/ids.ts'

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

t.test('an id is a UUIDv7 of this moment, by RFC 9562\'s layout', async (t) => {
  const before = Date.now()
  const id = newId()
  t.match(id, UUID_V7)
  const time = Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)
  t.ok(time >= before && time <= Date.now())
})

t.test('no id comes twice, also past the end of the pool of randomness', async (t) => {
  const ids = Array.from({ length: 50_000 }, newId)
  t.equal(new Set(ids).size, ids.length)
  t.ok(ids.every((id) => UUID_V7.test(id)))
})

t.test('every random bit is random: each hex digit takes every value that its place allows', async (t) => {
  const seen = Array.from({ length: 36 }, () => new Set<string>())
  for (let at = 0; at < 5_000; at++) for (const [place, digit] of [...newId()].entries()) seen[place]!.add(digit)
  const wanted = (place: number): number => [18, 23].includes(place) || place === 14 ? 1 : place === 19 ? 4 : 16
  for (let place = 14; place < 36; place++) t.equal(seen[place]!.size, wanted(place), `place ${place}`)
})
