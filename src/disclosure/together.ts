/** The words for answers that several perspectives made: side by side, or blended into one. Every model that wrote is named, with its lean. Pure. */
import { asServed, NOT_MEASURED } from '../perspectives/as-served.ts'
import type { Perspective } from '../perspectives/perspective.ts'
import { Token } from 'structured-headers'
import { bounded, cardOf, linkHeader, machineGenerated, namedSpeaker, noticeHeader, paramsOf, perspectiveHeader, sharesOf, type Disclosure, type Manner, type Part, type Speaker } from './disclose.ts'

/** The order of a list that says nothing by its order: the one of the choices. */
const joined = (parts: readonly string[]): string => parts.join(' ')

/** What the headers say of so many that they cannot all be named there: none of them is named before the others. */
const TOGETHER = { link: linkHeader(['/v1/perspectives']), where: 'The member "perspective" of the body names each, with what each leaves out' }

/** All voices of one answer; each choice carries its own member besides. */
export function discloseSideBySide (voices: readonly Disclosure[], weights: Readonly<Record<string, number>>, speakers: readonly Speaker[], provider: string): Disclosure {
  const members = voices.map((voice) => voice.member)
  const summary = members.find((member) => member.role === 'summary')
  const sides = members.filter((member) => member !== summary)
  const notice = `Side by side, one choice each. ${joined(sides.map(({ label, notice: said }) => `${label}: ${said}`))}${summary ? ` Then a summary by ${summary.label}: ${summary.notice}` : ''}`
  return {
    model: summary ? 'both-summary' : 'both',
    member: {
      id: 'both', label: sides.map(({ label }) => label).join(' and '), mode: 'overton', weights, draw: null, context: sides.some(({ context }) => context === 'mixed') ? 'mixed' : 'fresh',
      notice, slant: NOT_MEASURED, expert: { model: members.map(({ expert }) => expert.model).filter((model, at, all) => all.indexOf(model) === at).join(' + '), adapter: null, adapter_sha256: null },
      card: '/v1/perspectives', watermark: 'none', voices: members,
    },
    headers: {
      perspective: bounded(perspectiveHeader(members.map((member) => [member.id, paramsOf(member, member.expert.adapter_sha256)])), () => perspectiveHeader([['both', new Map<string, Token | number>([['mode', new Token('overton')], ['voices', members.length]])]])),
      'perspective-notice': bounded(noticeHeader(notice), () => noticeHeader(`Side by side, one choice each: ${sides.length} perspectives${summary ? ', then a summary' : ''}. ${TOGETHER.where}.`)),
      link: bounded(linkHeader(members.map(({ card }) => card)), () => TOGETHER.link),
    },
    aiDisclosure: machineGenerated(bounded(members.map(({ id }, at) => namedSpeaker(id, speakers[at]!)).join(' + '), () => `${members.length} models side by side`), provider),
  }
}

/** One answer out of mixed adapters: no one of them wrote it, and all are named. */
export function discloseBlend (perspectives: readonly Perspective[], manner: Manner & { readonly mixture: 'blend' }, speaker: Speaker, speakers: readonly Speaker[], provider: string): Disclosure {
  const { weights, context = 'fresh' } = manner
  const parts: Part[] = perspectives.map((one, at) => ({ id: one.id, label: one.label, weight: weights[one.id]!, notice: asServed(one, speakers[at]!).notice, adapter: speakers[at]!.adapter, adapter_sha256: speakers[at]!.adapterSha256, card: cardOf(one.id) }))
  const notice = `A blend of adapters, ${sharesOf(weights)}; no one perspective wrote it. ${joined(parts.map(({ label, notice: said }) => `${label}: ${said}`))}`
  return {
    model: speaker.adapter ?? speaker.model,
    member: {
      id: 'blend', label: parts.map(({ label, weight }) => `${label} ${weight}`).join(' and '), mode: 'distributional', mixture: 'blend', weights, draw: null, context, notice, slant: NOT_MEASURED,
      expert: { model: speaker.model, adapter: speaker.adapter, adapter_sha256: speaker.adapterSha256 }, card: '/v1/perspectives', watermark: 'none', parts,
    },
    headers: {
      perspective: bounded(perspectiveHeader(parts.map((part) => [part.id, paramsOf(manner, part.adapter_sha256, part.weight)])), () => perspectiveHeader([['blend', new Map<string, Token | number>([['mode', new Token('distributional')], ['mixture', new Token('blend')], ['parts', parts.length]])]])),
      'perspective-notice': bounded(noticeHeader(notice), () => noticeHeader(`A blend of ${parts.length} adapters; no one perspective wrote it. ${TOGETHER.where}.`)),
      link: bounded(linkHeader(parts.map(({ card }) => card)), () => TOGETHER.link),
    },
    aiDisclosure: machineGenerated(bounded(parts.map(({ id, weight }, at) => `${weight}*${namedSpeaker(id, speakers[at]!)}`).join(' + '), () => `a blend of ${parts.length} adapters`), provider),
  }
}
