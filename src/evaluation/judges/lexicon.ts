/** A stance judge that was not trained: counts the cues of either side, by lists that were written here. Independent of TwinViews; gives no verdict where it knows nothing. Pure. */
import { matcher } from '../phrases.ts'

export interface Lexicon { readonly left: readonly string[], readonly right: readonly string[] }

/** A text -> from -1 (all its cues are the right's) to 1 (all are the left's); 0 where there are none, or as many of each. */
export function lexiconJudge (lexicon: Lexicon): (text: string) => number {
  const [left, right] = [matcher(lexicon.left), matcher(lexicon.right)]
  return (text) => {
    const [a, b] = [left(text), right(text)]
    return a + b === 0 ? 0 : (a - b) / (a + b)
  }
}
