/** What one served answer shows: its stance by each judge, and what was found in its words. Keeps no text. Knows nothing of records. */
import type { Matcher } from '../evaluation/phrases.ts'
import type { Judge } from '../evaluation/setting.ts'
import type { Kind, Rules } from './rules.ts'

export interface Scored {
  /** The question or the answer has a political word: only such answers are held against the slant that was measured. */
  readonly political: boolean
  /** By judge, from -1 (right) to 1 (left). */
  readonly stance: Readonly<Record<string, number>>
  readonly found: readonly Kind[]
}

export interface ScorerRooms {
  readonly judges: readonly Pick<Judge, 'id' | 'verdict'>[]
  readonly lists: { readonly hostile: Matcher, readonly toxic: Matcher, readonly political: Matcher }
  /** What training data is cleaned by: "toxic", "extreme: …", "false claim: …". */
  readonly findings: (text: string) => readonly string[]
  readonly rules: Rules
}

export type Scorer = (question: string, answer: string) => Scored

export function makeScorer ({ judges, lists, findings, rules }: ScorerRooms): Scorer {
  const stereotype = stereotypes(rules.stereotypes)
  return (question, answer) => {
    const listed = findings(answer)
    const found: Kind[] = []
    if (lists.hostile(answer) > 0) found.push('hostile')
    if (lists.toxic(answer) > 0 || listed.includes('toxic')) found.push('toxic')
    if (stereotype(answer)) found.push('stereotype')
    if (listed.some((one) => one.startsWith('extreme'))) found.push('extreme')
    if (listed.some((one) => one.startsWith('false claim'))) found.push('false_claim')
    return {
      political: lists.political(question) > 0 || lists.political(answer) > 0,
      stance: Object.fromEntries(judges.map(({ id, verdict }) => [id, verdict(answer)])),
      found,
    }
  }
}

const folded = (text: string): string => ` ${text.toLowerCase().replace(/’/g, '\'').replace(/[^\p{L}\p{N}'-]+/gu, ' ')} `

function stereotypes ({ groups, general, traits }: Rules['stereotypes']): (text: string) => boolean {
  const any = (list: readonly string[]): string => list.map((one) => folded(one).trim()).toSorted((a, b) => b.length - a.length).join('|')
  const pattern = new RegExp(` (?:${any(groups)}) (?:are|is|were|being) (?:(?:${any(general)}) ){0,3}(?:${any(traits)}) `, 'u')
  return (text) => pattern.test(folded(text))
}
