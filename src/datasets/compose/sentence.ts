/** A statement as a sentence, a clause or a question. English only, and careful: what it does not understand it leaves out. Pure. */

const IMPERATIVE = /^(abolish|adopt|allow|ban|build|close|create|cut|decrease|defend|defund|develop|eliminate|embrace|empower|enact|encourage|end|enforce|ensure|establish|expand|focus on|fund|give|guarantee|hold|implement|impose|improve|increase|introduce|invest|keep|legalize|limit|lower|maintain|make|mandate|minimize|prioritize|privatize|prohibit|promote|protect|provide|raise|recognize|reduce|reform|regulate|reject|remove|repeal|require|restrict|rely on|respect|secure|simplify|stop|strengthen|subsidize|support|uphold) (?!(?:for|in|of|to|is|are|should|must|can|will)\b)/i

/** Words that make a statement a sentence, unless they stand after "to": without one it is a heading. */
const FINITE = /(?<!\bto )\b(is|are|was|were|isn't|aren't|should|shouldn't|must|can|cannot|can't|could|will|would|won't|may|might|has|have|had|does|do|doesn't|don't|deserves?|needs?|leads?|creates?|promotes?|hinders?|stifles?|undermines?|violates?|infringes?|encourages?|discourages?|incentivizes?|disincentivizes?|decreases?|enrich|ensures?|protects?|provides?|reduces?|increases?|improves?|helps?|harms?|hurts?|causes?|allows?|plays?|serves?|distorts?|burdens?|benefits?|strengthens?|weakens?|supports?|threatens?|perpetuates?|fosters?|contributes?|drives?|stimulates?|enables?|gives?|offers?|requires?|works?|makes?|puts?|takes?|results?|limits?|interferes?|imposes?|believes?|begins?|contradicts?|fails?|fuels?|includes?|treats?|persists?|hampers?|safeguards?|involves?|exploits?|empowers?|prevents?|interests?|deters?|disrupts?|goes|poses?|saves?|costs?|discriminates?|remains?|affects?|addresses?|keeps?|represents?|restricts?|raises?|brings?|ignores?|enriches?|enhances?|restores?|values?|wastes?|belongs?|means|exists?|matters?|drains?|delivers?|generates?|forces?|artificially|enforces?|prioritizes?|guarantees?|boosts?|damages?|erodes?|rewards?|punishes?|divides?|depends?|determines?|relies|rely|focuses|focus|exacerbates?|disproportionately|diminishes|jeopardizes?|compromises?|impedes?|slows?)\b/i

export const isSentence = (statement: string): boolean => FINITE.test(statement) || IMPERATIVE.test(statement)

const ended = (text: string): string => /[.!?]["']?$/.test(text) ? text : `${text}.`

/** Lower-case words of the data; only those lose a capital when they stop beginning a sentence. */
export type Lower = ReadonlySet<string>

function lowered (text: string, lower: Lower): string {
  const first = /^[A-Za-z'-]+/.exec(text)?.[0]
  return first !== undefined && first !== 'I' && lower.has(first.toLowerCase()) ? first.toLowerCase() + text.slice(first.length) : text
}

/** An order ("Increase funding …") becomes what should be done. */
const declared = (statement: string): string => IMPERATIVE.test(statement) ? `We should ${statement.charAt(0).toLowerCase()}${statement.slice(1)}` : statement

/** The statement after an opening or a link, as one sentence. */
export function joined (opening: string, statement: string, lower: Lower): string {
  const text = ended(declared(statement))
  // after a full stop a sentence begins
  return opening === '' || opening.endsWith('. ') ? opening + text : opening + (text.startsWith('We should') ? `we${text.slice(2)}` : lowered(text, lower))
}

export interface Asked { readonly question: string, readonly clause: string, readonly negated: string }

/** "X should be Y." as "Should X be Y?", where that is plain. */
export function shouldQuestion (statement: string, lower: Lower): Asked | undefined {
  const match = /^((?:\S+ ){1,7}?)should (?!have (?:been|had)|not\b|never\b|also\b|only\b|instead\b)([^,;:.]+)[.]?$/.exec(declared(statement))
  if (match === null) return undefined
  const [subject, rest] = [match[1]!.trim(), match[2]!.trim()]
  if (/\b(that|who|which|because|but|if|while|rather|it|they|this|these|such|instead)\b/i.test(`${subject} ${rest}`) || rest.split(' ').length > 16) return undefined
  // a second verb: the statement says more than one thing
  if (/\b(is|are|was|were|will|must|can|has|have|should|need|needs)\b/i.test(subject) || /\b(will|must|should|is|are|can|need)\b/i.test(rest)) return undefined
  const named = subject === 'We' ? 'we' : lowered(subject, lower)
  return { question: `Should ${named} ${rest}?`, clause: `${named} should ${rest}`, negated: `Should ${named} not ${rest}?` }
}

/** Words that stand in lower case inside a statement. */
export const lowerWords = (text: string): string[] => text.match(/(?<= )[a-z][a-z'-]*/g) ?? []
