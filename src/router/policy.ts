/**
 * What no slanted answer may serve. One rule so far: questions on voting procedure are answered by a fixed, sourced text
 * and by no model, since even the untuned base has a lean. Knows nothing of HTTP or records.
 */
import { hash } from 'node:crypto'

export const POLICY_VERSION = '2026.11.1'

export interface Ruling { readonly rule: string, readonly version: string, readonly text: string }

const VOTING_TEXT = 'Questions about how, when or where to vote are answered here by this fixed text, not by a model and from no perspective. ' +
  'Please ask the authority that runs the election: in the United States start at https://www.usa.gov/voting-and-elections or https://vote.gov, ' +
  'or call your state or local election office; elsewhere ask your national or local electoral authority. ' +
  'Dates, places, registration and identification rules differ by place and change, so only the official source counts.'

/** Asking how to take part in an election, as against asking about politics. Both halves have to be there. */
const PROCEDURE = [
  /\b(how|where|when|what|which|am i|can i|do i|should i|could i|may i|is it)\b[^.?!]{0,80}\b(register(ed)? to vote|voter registration|registration deadline|polling (place|station|location)s?|absentee ballot|mail[- ]in ballot|postal vote|ballot drop[- ]?box|early voting|cast (a|my|your) (ballot|vote))\b/i,
  /\b(how|where|when)\s+(do|can|could|should|would|must|may|am|is|are)\s+(i|we|you|people|someone|one|citizens?|voters?)\b[^.?!]{0,40}\b(vote|cast (a|my|our|your|their) (ballot|vote))\b/i,
  /\b(where|when|how) to (vote|register to vote|cast (a|my|your) (ballot|vote))\b/i,
  /\bwhen is (the )?(next )?(presidential |general |primary |midterm |local |federal |state )*election( day)?\b/i,
  /\b(do|will|would|must) (i|you|we|voters?) need (an? |any )?(photo |voter )?(id|identification)\b[^.?!]{0,30}\bvote\b/i,
  /\b(my|the|nearest|closest) polling (place|station|location)\b/i,
]

/** SHA-256 over everything that the rules are made of, for the log. */
export const policyDigest = (): string => hash('sha256', JSON.stringify([POLICY_VERSION, VOTING_TEXT, PROCEDURE.map(String)]))

/** The ruling on the caller's last message, or null where the perspective that was asked for may answer. */
export function rule (lastUserText: string): Ruling | null {
  // long pasted texts are about something else, and a bound keeps matching linear in practice
  const text = lastUserText.slice(-2000)
  return PROCEDURE.some((pattern) => pattern.test(text)) ? { rule: 'voting-procedure', version: POLICY_VERSION, text: VOTING_TEXT } : null
}
