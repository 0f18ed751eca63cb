import fc from 'fast-check'
import t from 'tap'
import { StopMatcher } from '../../src/engine/stop.ts'

const shown = (stops: readonly string[], pieces: readonly string[]): { text: string, stopped: boolean } => {
  const matcher = new StopMatcher(stops)
  let text = ''
  for (const piece of pieces) {
    text += matcher.push(piece)
    if (matcher.stopped) return { text, stopped: true }
  }
  return { text: text + matcher.rest(), stopped: false }
}

t.test('a stop string is found however it is cut, and nothing of it is shown', async (t) => {
  t.same(shown(['STOP'], ['one S', 'T', 'OP two']), { text: 'one ', stopped: true })
  t.same(shown(['aab'], ['a', 'a', 'a', 'b']), { text: 'a', stopped: true })
  t.same(shown(['\n\n'], ['x\n', '\ny']), { text: 'x', stopped: true })
})

t.test('what only began like a stop string is shown in the end', async (t) => {
  t.same(shown(['STOP'], ['one ST', 'UFF', ' ST']), { text: 'one STUFF ST', stopped: false })
  t.same(shown([], ['all ', 'of it']), { text: 'all of it', stopped: false })
})

t.test('pieces change nothing: the text is cut where the first whole stop string came', async () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 6 })
  fc.assert(fc.property(fc.array(letters, { maxLength: 12 }), fc.array(letters, { maxLength: 4 }), (pieces, stops) => {
    const { text, stopped } = shown(stops, pieces)
    const whole = pieces.join('')
    // the first stop string that is whole, and of those that end together the one that began first: as if it came letter by letter
    let expected = { text: whole, stopped: false }
    for (let end = 1; end <= whole.length && !expected.stopped; end++) {
      const at = stops.map((stop) => whole.slice(0, end).indexOf(stop)).filter((place) => place >= 0)
      if (at.length > 0) expected = { text: whole.slice(0, Math.min(...at)), stopped: true }
    }
    if (stopped !== expected.stopped) return false
    // a piece may bring two stop strings at once: then the one that begins first cuts
    return stopped ? expected.text.startsWith(text) && !stops.some((stop) => text.includes(stop)) : text === expected.text
  }), { numRuns: 2000 })
})
