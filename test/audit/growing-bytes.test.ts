import fc from 'fast-check'
import t from 'tap'
import { GrowingBytes } from '../../src/audit/growing-bytes.ts'

t.test('what was added is what is there, and what was handed out does not change', async (t) => {
  t.equal(new GrowingBytes().bytes().length, 0)
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 40 }), (parts) => {
    const grown = new GrowingBytes()
    const handed: [Buffer, Buffer][] = []
    parts.forEach((part, at) => {
      const given = Uint8Array.from(part)
      grown.add(given)
      given.fill(7)
      const now = grown.bytes()
      handed.push([now, Buffer.concat(parts.slice(0, at + 1))])
    })
    return handed.every(([one, wanted]) => one.equals(wanted))
  }))
})
