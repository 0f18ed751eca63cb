/**
 * Who speaks -> the words that travel with the answer: headers (Structured Fields, RFC 9651) and the body's member.
 * Pure. Knows nothing of HTTP replies or of how an answer was made.
 */
import { DisplayString, serializeDictionary, serializeItem, serializeList, Token } from 'structured-headers'
import type { Draw } from '../draws/draws.ts'
import { asServed, NOT_MEASURED, type Serving } from '../perspectives/as-served.ts'
import type { Perspective } from '../perspectives/perspective.ts'

export type Speaker = Serving

/**
 * What else shapes the words. `fresh`: the user's turns alone. `same`: earlier answers too, all of them this perspective's own.
 * `mixed`: instructions of the caller's, or earlier answers of another or unknown origin.
 */
export type Context = 'fresh' | 'same' | 'mixed'

/** How the speaker came to speak. */
export interface Manner {
  readonly mode: string
  readonly mixture?: 'sample' | 'blend'
  /** Set where one voice among several has a part of its own. */
  readonly role?: 'summary'
  readonly weights: Readonly<Record<string, number>>
  readonly draw?: Draw | null
  readonly context?: Context
}

export interface DisclosureMember {
  readonly id: string
  readonly label: string
  readonly mode: string
  readonly mixture?: 'sample' | 'blend'
  readonly role?: 'summary'
  readonly weights: Readonly<Record<string, number>>
  readonly draw: Draw | null
  readonly context: Context
  readonly notice: string
  /** "not measured" until an evaluation ran of what speaks here. */
  readonly slant: NonNullable<Perspective['slant']> | typeof NOT_MEASURED
  readonly expert: { readonly model: string, readonly adapter: string | null, readonly adapter_sha256: string | null }
  readonly card: string
  readonly watermark: 'none'
  /** Whose adapters a blend is made of. */
  readonly parts?: readonly Part[]
  /** Who speaks side by side, in the order of the choices. */
  readonly voices?: readonly DisclosureMember[]
}

export interface Part { readonly id: string, readonly label: string, readonly weight: number, readonly notice: string, readonly adapter: string | null, readonly adapter_sha256: string | null, readonly card: string }

export interface Disclosure {
  /** The name that the answer's `model` member carries. */
  readonly model: string
  readonly member: DisclosureMember
  /** All but AI-Disclosure, which carries the second at which the answer was made. */
  readonly headers: Readonly<Record<string, string>>
  readonly aiDisclosure: (date: Date) => string
}

export const DISCLOSURE_HEADERS = ['AI-Disclosure', 'Perspective', 'Perspective-Notice', 'Link', 'X-Audit-Record', 'Cache-Status'] as const

/**
 * The longest value of one of the headers here, in characters, which are bytes: the four of them, and all else a reply has, stay within the 16 KiB
 * that a client in Node reads. Where it would take more to name everybody, a header says how many there are and where they are named.
 */
export const HEADER_CHARS = 3072

/** `brief` where `full` is too long for a header. */
export const bounded = (full: string, brief: () => string): string => full.length <= HEADER_CHARS ? full : brief()

/** Says of a reply that no model wrote it (errors, fixed texts). */
export const NO_MODEL = 'mode=none'

export type Params = Map<string, Token | ArrayBuffer | number>

export const cardOf = (id: string): string => `/v1/perspectives/${id}/card`
const bytesOf = (hex: string): ArrayBuffer => Uint8Array.from(Buffer.from(hex, 'hex')).buffer
/** A String where it is ASCII, else a Display String (RFC 9651): labels and names of models are people's words. */
const stringItem = (text: string): string | DisplayString => /^[\x20-\x7e]*$/.test(text) ? text : new DisplayString(text)
export const noticeHeader = (text: string): string => serializeItem(stringItem(text))
export const perspectiveHeader = (items: readonly (readonly [string, Params])[]): string => serializeList(items.map(([id, params]) => [new Token(id), params]))
export const linkHeader = (cards: readonly string[]): string => cards.map((card) => `<${card}>; rel="describedby"`).join(', ')

/** Who it is to the letter: the perspective and the digest of what it was tuned to, or the model's name where no digest is known. */
export const namedSpeaker = (id: string, speaker: Speaker): string => `${id}@${speaker.adapterSha256?.slice(0, 12) ?? speaker.model}`

/** One item of the header `Perspective`. */
export function paramsOf ({ mode, mixture, role, context }: Manner, adapterSha256: string | null, weight?: number): Params {
  const params: Params = new Map([['mode', new Token(mode)]])
  if (mixture !== undefined) params.set('mixture', new Token(mixture))
  if (role !== undefined) params.set('role', new Token(role))
  // Decimals of RFC 9651 have three digits after the point
  if (weight !== undefined) params.set('weight', Math.round(weight * 1000) / 1000)
  if (context === 'mixed') params.set('context', new Token(context))
  if (adapterSha256 !== null) params.set('adapter', bytesOf(adapterSha256))
  return params
}

/** The date is in whole seconds: many answers of a busy second share its words. */
function perSecond (write: (date: Date) => string): (date: Date) => string {
  let second = Number.NaN
  let words = ''
  return (date) => {
    const now = Math.floor(date.getTime() / 1000)
    if (now !== second) {
      words = write(date)
      second = now
    }
    return words
  }
}

export const machineGenerated = (named: string, provider: string): (date: Date) => string =>
  perSecond((date) => serializeDictionary({ mode: [new Token('machine-generated'), new Map()], model: [stringItem(named), new Map()], provider: [provider, new Map()], date: [date, new Map()] }))

/** One perspective that answers as itself, chosen or drawn. */
export function disclose (perspective: Perspective, manner: Manner, speaker: Speaker, provider: string): Disclosure {
  const { mode, mixture, role, weights, draw = null, context = 'fresh' } = manner
  const card = cardOf(perspective.id)
  const { slant, notice: own } = asServed(perspective, speaker)
  const notice = own + (mixture === 'sample' ? ` Drawn from a mixture of ${sharesOf(weights)}.` : '') + (role === 'summary' ? ' Summarises the other answers, which others wrote, and may misstate them.' : '')
  return {
    model: speaker.adapter ?? speaker.model,
    member: {
      id: perspective.id,
      label: perspective.label,
      mode,
      ...(mixture && { mixture }),
      ...(role && { role }),
      weights,
      draw,
      context,
      notice,
      slant,
      expert: { model: speaker.model, adapter: speaker.adapter, adapter_sha256: speaker.adapterSha256 },
      card,
      watermark: 'none',
    },
    headers: {
      perspective: perspectiveHeader([[perspective.id, paramsOf({ ...manner, context }, speaker.adapterSha256, mixture === 'sample' ? weights[perspective.id] : undefined)]]),
      'perspective-notice': bounded(noticeHeader(notice), () => noticeHeader(`${own} Drawn from a mixture of ${Object.keys(weights).length} perspectives, which the member "perspective" of the body names.`)),
      link: linkHeader([card]),
    },
    aiDisclosure: machineGenerated(namedSpeaker(perspective.id, speaker), provider),
  }
}

/** The same words with the one draw that this answer was made by: all else is the same for every draw of a mixture. */
export const withDraw = (disclosure: Disclosure, draw: Draw): Disclosure => ({ ...disclosure, member: { ...disclosure.member, draw } })

/** "progressive 0.7 and conservative 0.3" */
export const sharesOf = (weights: Readonly<Record<string, number>>): string => Object.entries(weights).map(([id, weight]) => `${id} ${weight}`).join(' and ')

export const POLICY_NOTICE = 'Fixed text from a published policy; no model wrote it and no perspective was consulted.'

/** For a fixed text that a policy rule put in the place of an answer: disclosed as such, with who had been asked. */
export function disclosePolicy (asked: string, rule: { readonly rule: string, readonly version: string }): Disclosure {
  return {
    model: `policy-${rule.version}`,
    member: {
      id: 'policy', label: 'Policy text', mode: 'policy', weights: {}, draw: null, context: 'fresh', notice: POLICY_NOTICE, slant: NOT_MEASURED,
      expert: { model: 'none', adapter: null, adapter_sha256: null }, card: '/v1/policy', watermark: 'none',
    },
    headers: {
      perspective: perspectiveHeader([['policy', new Map([['mode', new Token('policy')], ['rule', new Token(rule.rule)], ['asked', new Token(asked)]])]]),
      'perspective-notice': noticeHeader(POLICY_NOTICE),
      link: '</v1/policy>; rel="describedby"',
    },
    aiDisclosure: () => NO_MODEL,
  }
}
