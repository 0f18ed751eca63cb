/** Texts of either end that came alone, brought together on one topic: the likest in words and length first, within a bounded wait. */
import { ENDS, type Collected, type End } from '../rows.ts'
import { contentWords, jaccard, wordCount } from '../text.ts'

/** Texts of one end that wait at the most; the one that has waited longest gives way. */
const WAITING = 200
/** Lengths may differ by this factor. */
const LONGER = 2

interface Waiting { readonly row: Collected, readonly bag: ReadonlySet<string>, readonly length: number }
export type Found = { readonly left: Collected, readonly right: Collected } | { readonly alone: End }

/** One of each in turn, so that a source of one end that is read whole before the other does not wait in vain. */
export function * inTurn<T> (streams: readonly Generator<T>[]): Generator<T> {
  for (let open = [...streams]; open.length > 0;) {
    const still: Generator<T>[] = []
    for (const stream of open) {
      const next = stream.next()
      if (next.done) continue
      yield next.value
      still.push(stream)
    }
    open = still
  }
}

/** Rows of one cluster -> couples, and the texts that found none. */
export function * counterparts (rows: Iterable<Collected>): Generator<Found> {
  const waiting: Record<End, Waiting[]> = { left: [], right: [] }
  for (const row of rows) {
    const end: End = row.left === undefined ? 'right' : 'left'
    const opposite = waiting[end === 'left' ? 'right' : 'left']
    const text = row[end]!
    const one: Waiting = { row, bag: contentWords(text), length: wordCount(text) }
    let best = -1
    let likest = -1
    for (const [i, two] of opposite.entries()) {
      if (Math.max(one.length, two.length) > LONGER * Math.min(one.length, two.length)) continue
      // a text under one label with its counterpart is worth more than a shared word or two
      const likeness = jaccard(one.bag, two.bag) + (one.row.topic === two.row.topic ? 0.2 : 0)
      if (likeness > likest) { likest = likeness; best = i }
    }
    if (best >= 0) {
      const [two] = opposite.splice(best, 1) as [Waiting]
      yield end === 'left' ? { left: row, right: two.row } : { left: two.row, right: row }
      continue
    }
    waiting[end].push(one)
    if (waiting[end].length > WAITING) { waiting[end].shift(); yield { alone: end } }
  }
  for (const end of ENDS) for (let i = 0; i < waiting[end].length; i++) yield { alone: end }
}
