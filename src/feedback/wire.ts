/** Feedback as JSON. Knows nothing of HTTP. */
import { z } from 'zod'
import { canonical } from '../canonical.ts'
import { consentText, CONSENT } from './consent.ts'
import type { Answer, Given, Judged, Named, Saying } from './feedback.ts'

const COMMENT = 2000
const HIGHEST_CHOICE = 127
export const PAGE = 100

const choice = z.int('wanted the number of a choice').min(0).max(HIGHEST_CHOICE)
const answer = z.strictObject({ record: z.uuid().toLowerCase(), choice: choice.optional() })
const either = z.union([choice, answer], 'wanted the number of a choice, or {"record", "choice"}')

const missing = (context: z.RefinementCtx, message: string, path: string[] = []): void => { context.addIssue({ code: 'custom', message, path }) }

export const feedbackBody = z.strictObject({
  record: z.uuid().toLowerCase().optional().describe('The answer\'s record: `audit.record`, or the header X-Audit-Record'),
  choice: choice.optional().describe('With "rating": which of its choices. May be left out where there is one only.'),
  rating: z.enum(['good', 'bad']).optional(),
  preferred: either.optional().describe('The better of two: a choice of "record", or {"record", "choice"} of your own'),
  over: either.optional().describe('The other one'),
  comment: z.string().max(COMMENT).optional().describe('For people. Kept out of the log.'),
  consent: z.boolean().default(false).describe('Whether the question, the answers and this judgement may train; the text is at /v1/feedback/consent.'),
  consent_version: z.string().max(40).optional().describe('The version of the text that was shown. Absent: the present one.'),
}).superRefine((body, context) => {
  const { rating, preferred, over, record } = body
  if ((rating === undefined) === (preferred === undefined)) missing(context, 'wanted either a "rating" of one answer, or which of two is "preferred" and "over" which')
  else if (rating !== undefined) {
    if (record === undefined) missing(context, 'wanted the record of the answer that is rated', ['record'])
    if (over !== undefined) missing(context, 'stands beside "preferred", not beside "rating"', ['over'])
  } else {
    if (over === undefined) missing(context, 'wanted what it is preferred to', ['over'])
    else if (typeof over !== typeof preferred) missing(context, 'wanted both as numbers of choices within "record", or both as {"record", "choice"}', ['over'])
    if (typeof preferred === 'number' && record === undefined) missing(context, 'wanted the record that the two choices are of', ['record'])
    if (typeof preferred === 'object' && record !== undefined) missing(context, 'stands in "preferred" and "over" here', ['record'])
    if (body.choice !== undefined) missing(context, 'stands beside "rating", not beside "preferred"', ['choice'])
    if (JSON.stringify(preferred) === JSON.stringify(over)) missing(context, 'wanted another answer than "preferred"', ['over'])
  }
  if (body.consent_version !== undefined && !body.consent) missing(context, 'is of use only with "consent": true', ['consent_version'])
  else if (body.consent_version !== undefined && !consentText(body.consent_version)) missing(context, `is no text of consent known here; the present one is "${CONSENT.version}", at /v1/feedback/consent`, ['consent_version'])
})
export type FeedbackBody = z.infer<typeof feedbackBody>

export function fromWire (body: FeedbackBody): Saying<Named> {
  const { record, consent } = body
  const beside = { comment: body.comment ?? null, consent, consentVersion: consent ? body.consent_version ?? CONSENT.version : null }
  const judged = (one: FeedbackBody['over']): Named => typeof one === 'object' ? { record: one.record, choice: one.choice ?? null } : { record: record!, choice: one! }
  return body.rating === undefined
    ? { kind: 'choice', preferred: judged(body.preferred), over: judged(body.over), ...beside }
    : { kind: 'rating', rating: body.rating, about: { record: record!, choice: body.choice ?? null }, ...beside }
}

const judgedObject = z.object({ record: z.string(), choice: z.int() })
const said = {
  kind: z.enum(['rating', 'choice']),
  record: z.string().optional(), choice: z.int().optional(), rating: z.enum(['good', 'bad']).optional(),
  preferred: judgedObject.optional(), over: judgedObject.optional(),
  comment: z.string().nullable(), consent: z.boolean(), consent_version: z.string().nullable(),
}

export const feedbackObject = z.object({
  id: z.string().describe('Also the id of its record in the log'), object: z.literal('feedback'), created: z.int(), key: z.string(), ...said,
  about: z.array(judgedObject.extend({ perspective: z.string(), adapter_sha256: z.string().nullable() })),
  salt: z.string().describe('base64. The leaf\'s "content_commit" is the base64 of SHA-256(salt, id, canonical JSON of the members kind, record, choice, rating, preferred, over, comment, consent and consent_version that are there)'),
})
export type FeedbackObject = z.infer<typeof feedbackObject>

const judgedOf = ({ record, choice: at }: Judged): z.infer<typeof judgedObject> => ({ record, choice: at })

/** What was said, and nothing of who said it: what the leaf commits to. */
function saidToWire (saying: Saying<Judged>): Pick<FeedbackObject, keyof typeof said> {
  const beside = { comment: saying.comment, consent: saying.consent, consent_version: saying.consentVersion }
  return saying.kind === 'rating'
    ? { kind: 'rating', ...judgedOf(saying.about), rating: saying.rating, ...beside }
    : { kind: 'choice', preferred: judgedOf(saying.preferred), over: judgedOf(saying.over), ...beside }
}

export const contentOf = (saying: Saying<Judged>): Uint8Array => Buffer.from(canonical(saidToWire(saying)))

const aboutOf = ({ record, choice: at, perspective, adapterSha256 }: Answer) => ({ record, choice: at, perspective, adapter_sha256: adapterSha256 })
const aboutAll = (saying: Saying<Answer>) => saying.kind === 'rating' ? [aboutOf(saying.about)] : [aboutOf(saying.preferred), aboutOf(saying.over)]

const seconds = (milliseconds: number): number => Math.floor(milliseconds / 1000)

export const toWire = ({ id, at, key, said: saying, salt }: Given): FeedbackObject =>
  ({ id, object: 'feedback', created: seconds(at), key, ...saidToWire(saying), about: aboutAll(saying), salt: Buffer.from(salt).toString('base64') })

/** A row for training: who preferred what, and under which consent; no word of anybody's. */
export function exportRow ({ id, at, key, said: saying }: Given): Record<string, unknown> {
  return {
    id, created: seconds(at), key, kind: saying.kind,
    ...(saying.kind === 'rating' ? { rating: saying.rating, about: aboutOf(saying.about) } : { preferred: aboutOf(saying.preferred), over: aboutOf(saying.over) }),
    consent: saying.consent, consent_version: saying.consentVersion,
  }
}
