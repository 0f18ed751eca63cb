import fc from 'fast-check'
import t from 'tap'
import { csvRow } from '../../src/audit/csv.ts'

/** The cells of one row, by RFC 4180 and nothing of ours. */
function cells (row: string): string[] {
  const found: string[] = []
  for (let at = 0; at < row.length - 2;) {
    if (row[at] === '"') {
      let text = ''
      for (at++; row[at] !== '"' || row[at + 1] === '"'; at++) {
        if (row[at] === '"') at++
        text += row[at]
      }
      found.push(text)
      at += 2
    } else {
      const end = row.slice(at).search(/,|\r\n$/) + at
      found.push(row.slice(at, end))
      at = end + 1
    }
  }
  if (row === '\r\n' || row.endsWith(',\r\n')) found.push('')
  return found
}

t.test('whatever strangers wrote, a cell comes back as it was, but for an apostrophe before what a spreadsheet would run', async (t) => {
  fc.assert(fc.property(fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '"=1"', ',', '\n', 'a,"b"\r\nc', '=cmd|\' /C calc\'!A0')), { minLength: 1 }), (texts) => {
    const back = cells(csvRow(texts))
    return back.length === texts.length && back.every((cell, at) => !/^[=+\-@\t\r]/.test(cell) && (cell === texts[at] || cell === `'${texts[at]}`))
  }), { numRuns: 500 })
  t.equal(csvRow([1, -1, null, undefined, true, 'x']), '1,-1,,,true,x\r\n', 'numbers stay numbers')
})
