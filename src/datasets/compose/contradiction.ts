/**
 * Whether two statements of one end speak against each other: much the same words with the opposite sign. Signs are counted, so that
 * "lower taxes promote" and "high taxes hinder" agree. Reads words, not meaning. Pure.
 */
import { contentWords, jaccard, words } from '../text.ts'

const TURNING = new Set(`not no never without nor cannot don't doesn't shouldn't isn't aren't against abolish abolished abolishing ban banned banning prohibit prohibited eliminate eliminated end ended
oppose opposed reject rejected reduce reduced reducing reduces reduction limit limited limiting limits lower lowered lowering lowers decrease decreased cut cuts cutting minimize minimized repeal repealed restrict restricted restricting
restrictions hinder hinders hindering harm harms harming harmful hurt hurts burden burdens undermine undermines stifle stifles threaten threatens violate violates infringe infringes distort distorts discourage discourages
unnecessary unfair unfairly wrong illegal immoral inefficient inefficiency unsustainable unaffordable excessive prevent prevents impede impedes damage damages fail fails weaken weakens minimal outlawed deregulate deregulation`.split(/\s+/))

export interface Weighed { readonly about: ReadonlySet<string>, readonly turned: boolean }

export function weigh (statement: string): Weighed {
  const all = words(statement)
  const plain = all.filter((word) => !TURNING.has(word))
  return { about: contentWords(plain.join(' ')), turned: (all.length - plain.length) % 2 === 1 }
}

export const contradicts = (one: Weighed, two: Weighed, alike = 0.4): boolean => one.turned !== two.turned && jaccard(one.about, two.about) >= alike
