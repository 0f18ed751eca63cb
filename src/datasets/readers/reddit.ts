/** Reddit dumps: submissions and comments, a JSON object a line, as Pushshift and its successors pack them. Who wrote is never passed on. */
import { readJsonl } from './jsonl.ts'
import { fromMarkdown } from './plain-text.ts'
import type { Read } from './read.ts'

const GONE = new Set(['[deleted]', '[removed]', ''])
const textOf = (value: unknown): string => typeof value === 'string' ? value : ''

export const readReddit: Read = async function * (file) {
  for await (const { row, record: post } of readJsonl(file)) {
    const [body, title] = [textOf(post['body']) || textOf(post['selftext']), textOf(post['title'])]
    const skip = (why: string) => ({ row, record: {}, skip: why })
    if (GONE.has(body.trim()) && title === '') { yield skip('deleted or removed'); continue }
    if (body.trim() === '[removed]' || body.trim() === '[deleted]' || post['removed_by_category']) { yield skip('deleted or removed'); continue }
    if (post['over_18'] === true) { yield skip('marked as adult'); continue }
    if (/^(automoderator|.*bot)$/i.test(textOf(post['author'])) || post['stickied'] === true || post['distinguished'] === 'moderator') { yield skip('by a bot or a moderator'); continue }
    if (typeof post['score'] === 'number' && post['score'] < 1) { yield skip('voted below one'); continue }
    const text = fromMarkdown([title.replace(/([^.!?])$/, '$1.'), body].filter(Boolean).join('\n'))
    yield { row, record: { text, community: textOf(post['subreddit']) } }
  }
}
