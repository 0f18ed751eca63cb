/**
 * A route -> the words that travel with its answer: headers (Structured Fields, RFC 9651) and the body's member.
 * Pure. Knows nothing of HTTP replies or of how an answer was made.
 */
import { serializeDictionary, serializeItem, serializeList, Token } from 'structured-headers'
import type { Perspective } from '../perspectives/perspective.ts'

/** What answered, as far as it is known. Digest in hex. */
export interface Speaker {
  readonly model: string
  readonly adapter: string | null
  readonly adapterSha256: string | null
}

export interface DisclosureMember {
  readonly id: string
  readonly label: string
  readonly mode: string
  readonly weights: Readonly<Record<string, number>>
  readonly draw: null
  readonly notice: string
  /** "not measured" until an evaluation ran. */
  readonly slant: Perspective['slant'] | 'not measured'
  readonly expert: { readonly model: string, readonly adapter: string | null, readonly adapter_sha256: string | null }
  readonly card: string
  readonly watermark: 'none'
}

export interface Disclosure {
  /** The name that the answer's `model` member carries. */
  readonly model: string
  readonly member: DisclosureMember
  /** All but AI-Disclosure, which carries the second at which the answer was made. */
  readonly headers: Readonly<Record<string, string>>
  readonly aiDisclosure: (date: Date) => string
}

export const DISCLOSURE_HEADERS = ['AI-Disclosure', 'Perspective', 'Perspective-Notice', 'Link', 'X-Audit-Record', 'Cache-Status'] as const

/** Says of a reply that no model wrote it (errors, fixed texts). */
export const NO_MODEL = 'mode=none'

const serialise = {
  string: (text: string): string => serializeItem(text),
  digest: (hex: string): ArrayBuffer => Uint8Array.from(Buffer.from(hex, 'hex')).buffer,
}

/** The date is in whole seconds: many answers of a busy second share its words. */
function perSecond (write: (date: Date) => string): (date: Date) => string {
  let second = Number.NaN
  let words = ''
  return (date) => {
    const now = Math.floor(date.getTime() / 1000)
    if (now !== second) {
      second = now
      words = write(date)
    }
    return words
  }
}

/** Shared by every perspective: the member and headers of one that answers as itself. */
export function disclose (perspective: Perspective, mode: string, weights: Readonly<Record<string, number>>, speaker: Speaker, provider: string): Disclosure {
  const card = `/v1/perspectives/${perspective.id}/card`
  const named = `${perspective.id}@${speaker.adapterSha256?.slice(0, 12) ?? speaker.model}`
  const params = new Map<string, Token | ArrayBuffer>([['mode', new Token(mode)]])
  if (speaker.adapterSha256 !== null) params.set('adapter', serialise.digest(speaker.adapterSha256))
  return {
    model: speaker.adapter ?? speaker.model,
    member: {
      id: perspective.id,
      label: perspective.label,
      mode,
      weights,
      draw: null,
      notice: perspective.notice,
      slant: perspective.slant ?? 'not measured',
      expert: { model: speaker.model, adapter: speaker.adapter, adapter_sha256: speaker.adapterSha256 },
      card,
      watermark: 'none',
    },
    headers: {
      perspective: serializeList([[new Token(perspective.id), params]]),
      'perspective-notice': serialise.string(perspective.notice),
      link: `<${card}>; rel="describedby"`,
    },
    aiDisclosure: perSecond((date) => serializeDictionary({ mode: [new Token('machine-generated'), new Map()], model: [named, new Map()], provider: [provider, new Map()], date: [date, new Map()] })),
  }
}

export const POLICY_NOTICE = 'Fixed text from a published policy; no model wrote it and no perspective was consulted.'

/** For a fixed text that a policy rule put in the place of an answer: disclosed as such, with the perspective that had been asked for. */
export function disclosePolicy (asked: Perspective, rule: { readonly rule: string, readonly version: string }): Disclosure {
  return {
    model: `policy-${rule.version}`,
    member: {
      id: 'policy', label: 'Policy text', mode: 'policy', weights: {}, draw: null, notice: POLICY_NOTICE, slant: 'not measured',
      expert: { model: 'none', adapter: null, adapter_sha256: null }, card: '/v1/perspectives', watermark: 'none',
    },
    headers: {
      perspective: serializeList([[new Token('policy'), new Map<string, Token>([['mode', new Token('policy')], ['rule', new Token(rule.rule)], ['asked', new Token(asked.id)]])]]),
      'perspective-notice': serialise.string(POLICY_NOTICE),
      link: '</v1/perspectives>; rel="describedby"',
    },
    aiDisclosure: () => NO_MODEL,
  }
}
