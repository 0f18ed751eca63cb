/** Archives of Truth Social: JSON lines as its API gives posts (`content` is HTML), or the tables of published collections (`text`). Who wrote stays out, but may tell the side. */
import { fromHtml } from './plain-text.ts'
import { formatOf } from './huggingface.ts'
import type { Read } from './read.ts'

const TRUE = new Set<unknown>([true, 't', 'true', 'True', 1, '1'])
const textOf = (value: unknown): string => typeof value === 'string' ? value : ''

export const readTruthSocial: Read = async function * (file) {
  for await (const { row, record: post } of formatOf(file)(file)) {
    const account = post['account'] as { acct?: unknown, username?: unknown } | undefined
    const text = fromHtml(textOf(post['content']) || textOf(post['text']))
    const again = TRUE.has(post['is_retruth']) || (post['reblog'] !== undefined && post['reblog'] !== null) || /^(RT|ReTruth)\b[ :@]/i.test(text)
    if (again) yield { row, record: {}, skip: 'said by somebody else' }
    else if (text === '') yield { row, record: {}, skip: 'no text' }
    else yield { row, record: { text, account: textOf(account?.acct) || textOf(account?.username) || textOf(post['author']) || textOf(post['username']) } }
  }
}
