/** Posts and articles as plain sentences: markup, links and entities away. Pure. */
import { sentences, wordCount } from '../text.ts'

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ', '#39': "'", '#x27': "'", '#x200B': '' }

const entities = (text: string): string => text.replace(/&(#?\w+);/g, (whole, name: string) => ENTITIES[name] ?? whole)
const LINK = /https?:\/\/\S+|www\.\S+/g

export const fromHtml = (html: string): string => entities(html.replace(/<(script|style)[\s\S]*?<\/\1>/gi, ' ').replace(/<br\s*\/?>|<\/p>/gi, ' ').replace(/<[^>]*>/g, '')).replace(LINK, '').replace(/\s+/g, ' ').trim()

/** Markdown without quotations, which are somebody else's words. */
export const fromMarkdown = (text: string): string => entities(text).split('\n').filter((line) => !/^\s*(>|&gt;|\|)/.test(line)).join('\n')
  .replace(/```[\s\S]*?```/g, ' ').replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1').replace(LINK, '').replace(/[*_~`#]+/g, '').replace(/\s+/g, ' ').trim()

/** Runs of whole sentences of at most `most` words. */
export function passages (text: string, most: number): string[] {
  const found: string[] = []
  let now = ''
  for (const sentence of sentences(text)) {
    if (now !== '' && wordCount(now) + wordCount(sentence) > most) { found.push(now); now = '' }
    now = now === '' ? sentence : `${now} ${sentence}`
  }
  return now === '' ? found : [...found, now]
}
