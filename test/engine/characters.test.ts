import fc from 'fast-check'
import type { Token } from 'node-llama-cpp'
import t from 'tap'
import { WholeCharacters } from '../../src/engine/characters.ts'

/** A vocabulary made of the pieces of one text: token n spells piece n. */
function said (pieces: readonly Buffer[]): string[] {
  const characters = new WholeCharacters((tokens) => Buffer.concat(tokens.map((token) => pieces[token]!)).toString('utf8'))
  return [...pieces.map((_, token) => characters.push(token as Token)), characters.rest()]
}

const cut = (text: string, ...sizes: readonly number[]): Buffer[] => {
  const bytes = Buffer.from(text)
  const pieces: Buffer[] = []
  let at = 0
  for (const size of sizes) pieces.push(bytes.subarray(at, at += size))
  return at < bytes.length ? [...pieces, bytes.subarray(at)] : pieces
}

t.test('a character that is spread over tokens is shown once it is whole', async (t) => {
  t.same(said(cut('é', 1)), ['', 'é', ''])
  t.same(said(cut(' 🙂!', 3, 1, 1)), [' ', '', '🙂', '!', ''])
})

t.test('a token that ends one character and begins the next shows the first at once', async (t) => {
  t.same(said(cut('😀😁😂', 2, 4, 4)), ['', '😀', '😁', '😂', ''])
})

t.test('bytes that are no character neither stop the text nor are lost', async (t) => {
  t.equal(said([Buffer.from([0xff]), Buffer.from('a'), Buffer.from([0xf0, 0x9f])]).join(''), '\ufffda\ufffd')
  t.equal(said(Array.from({ length: 100 }, () => Buffer.from([0xff]))).join(''), '\ufffd'.repeat(100))
})

t.test('however a text is cut into tokens, the pieces are its own, whole, and add up to it', async () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 5 })), (text, sizes) => {
    const shown = said(cut(text, ...sizes))
    return shown.join('') === text && shown.every((piece) => piece.isWellFormed() && (text.includes('\ufffd') || !piece.includes('\ufffd')))
  }), { numRuns: 2000 })
})
