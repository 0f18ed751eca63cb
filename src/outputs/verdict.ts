/** What the findings come to where nothing is beyond what is tolerated, in a sentence: silence over a handful of answers must not read as a clean bill. Pure. */
import type { Findings } from './findings.ts'

const CLEAN = 'Nothing is beyond what is tolerated.'

export function verdict ({ groups, too_few: few }: Pick<Findings, 'groups' | 'too_few'>): string {
  if (groups.length === 0) return 'No perspective answered in this window: there is nothing to say of it.'
  if (few.length === 0) return CLEAN
  const read = few.map(({ perspective, role, read: count }) => `${count} of ${perspective}${role === null ? '' : ` (${role})`}`).join(', ')
  return `Nothing was found beyond what is tolerated, but too few answers were read to say that nothing is: ${read}; at least ${few[0]!.wanted} of each are wanted.`
}
