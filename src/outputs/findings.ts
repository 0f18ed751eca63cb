/** What a sample of served answers says: stance against the release's report, rates against ceilings, each with its interval, and what is beyond chance. Pure; holds record ids and no word of anybody's. */
import { mean, none, share, type Estimate } from '../evaluation/estimate.ts'
import type { Gathered, Group, PartOf, Read, Window } from './gather.ts'
import { KINDS, type Kind, type Rules } from './rules.ts'
import type { Scored } from './scorer.ts'

/** What the report of the release in force says of one perspective. */
export interface Reported {
  readonly adapterSha256: string | null
  /** By judge: of political answers, and of everyday ones. */
  readonly political: Readonly<Record<string, Estimate>>
  readonly everyday: Readonly<Record<string, Estimate>>
}

export interface Stance { readonly judge: string, readonly about: 'political' | 'everyday', readonly served: Estimate, readonly reported: Estimate | null, /** Served less reported. */ readonly drift: Estimate | null }
export interface Rate { readonly kind: Kind, readonly share: Estimate, readonly most: number | null }

export interface GroupFindings {
  readonly perspective: string
  readonly role: string | null
  readonly adapter_sha256: string | null
  readonly parts: readonly PartOf[] | null
  readonly served: number
  readonly sampled: number
  readonly read: number
  readonly gone: Group['gone']
  readonly political: number
  readonly stance: readonly Stance[]
  readonly rates: readonly Rate[]
  /** Answers with a finding, for a person to look at. */
  readonly flagged: readonly { readonly record: string, readonly choice: number, readonly found: readonly Kind[] }[]
}

export interface Alert { readonly perspective: string, readonly adapter_sha256: string | null, readonly kind: Kind | 'drift', readonly says: string }

export interface Findings {
  readonly schema: 1
  readonly at: string
  readonly window: { readonly from: string, readonly to: string }
  readonly as_of: number
  readonly seed: string
  readonly size: number
  readonly rules_sha256: string
  readonly report: { readonly file: string, readonly version: string } | null
  readonly policy_texts: number
  readonly broken: number
  readonly groups: readonly GroupFindings[]
  readonly alerts: readonly Alert[]
  /** Voices of which fewer answers were read than the rules want before they say anything of them. */
  readonly too_few: readonly { readonly perspective: string, readonly role: string | null, readonly adapter_sha256: string | null, readonly read: number, readonly wanted: number }[]
}

export interface Judged {
  readonly gathered: Gathered
  readonly rules: Rules
  readonly judges: readonly string[]
  readonly reported: ReadonlyMap<string, Reported>
  readonly report: Findings['report']
  readonly window: Window
  readonly seed: string
  readonly size: number
  readonly now: Date
}

const BOOTSTRAP_SEED = 20261125

export function judgeOutputs ({ gathered, rules, judges, reported, report, window, seed, size, now }: Judged): Findings {
  const groups = gathered.groups.map((group) => findingsOf(group, rules, judges, reported.get(group.perspective)))
  const iso = (time: number): string => new Date(time).toISOString()
  return {
    schema: 1, at: now.toISOString(), window: { from: iso(window.from), to: iso(window.to) }, as_of: gathered.asOf, seed, size, rules_sha256: rules.sha256, report,
    policy_texts: gathered.policy, broken: gathered.broken, groups, alerts: groups.flatMap((group) => alertsOf(group, rules)),
    too_few: groups.filter(({ read }) => read < rules.drift.answers).map(({ perspective, role, adapter_sha256, read }) => ({ perspective, role, adapter_sha256, read, wanted: rules.drift.answers })),
  }
}

function findingsOf (group: Group, rules: Rules, judges: readonly string[], report: Reported | undefined): GroupFindings {
  const { perspective, role, adapterSha256, parts, served, sampled, gone, answers } = group
  // a report is about the weights that it measured, and about a voice that speaks for itself
  const comparable = report && role === null && report.adapterSha256 === adapterSha256 ? report : undefined
  return {
    perspective, role, adapter_sha256: adapterSha256, parts, served, sampled, read: answers.length, gone,
    political: answers.filter(({ scores }) => scores.some((one) => one.political)).length,
    stance: judges.flatMap((judge) => (['political', 'everyday'] as const).map((about) => stanceOf(answers, judge, about, comparable?.[about][judge] ?? null))),
    rates: KINDS.map((kind) => ({ kind, share: share(answers.filter((one) => has(one, kind)).length, answers.length), most: rules.ceilings.find((one) => one.kind === kind)?.most ?? null })),
    flagged: answers.flatMap((one) => {
      const found = KINDS.filter((kind) => has(one, kind))
      return found.length === 0 ? [] : [{ record: one.record, choice: one.choice, found }]
    }),
  }
}

const has = ({ scores }: Read, kind: Kind): boolean => scores.some((one) => one.found.includes(kind))

/** The choices of one answer are one cluster: they were asked alike. */
function stanceOf (answers: readonly Read[], judge: string, about: Stance['about'], reported: Estimate | null): Stance {
  const values = answers.map(({ scores }) => scores.filter((one: Scored) => one.political === (about === 'political')).map((one) => one.stance[judge]!))
  const served = mean(values, BOOTSTRAP_SEED)
  return { judge, about, served, reported, drift: reported && difference(served, reported) }
}

/** Of two independent means, by the distances of their intervals' ends. */
function difference (first: Estimate, second: Estimate): Estimate {
  if (first.value === null || second.value === null) return none(first.reason ?? second.reason ?? 'nothing was measured')
  // a single answer, or topic, has no interval: how far the two are apart cannot be told from chance
  if (first.low === null || second.low === null) return none('one of the two has no interval')
  const rounded = (value: number): number => Math.round(value * 1e4) / 1e4
  const value = first.value - second.value
  return {
    value: rounded(value),
    low: rounded(value - Math.hypot(first.value - first.low, second.high! - second.value)),
    high: rounded(value + Math.hypot(first.high! - first.value, second.value - second.low)),
    n: Math.min(first.n, second.n), method: 'bootstrap',
  }
}

function alertsOf ({ perspective, adapter_sha256, read, stance, rates }: GroupFindings, { drift: { tolerance, answers } }: Rules): Alert[] {
  const about = { perspective, adapter_sha256 }
  const drifted = stance.flatMap(({ judge, about: where, served, reported, drift }): Alert[] => {
    if (!drift || drift.value === null || served.n < answers) return []
    const nearest = drift.low! > 0 ? drift.low! : drift.high! < 0 ? -drift.high! : 0
    return nearest > tolerance ? [{ ...about, kind: 'drift', says: `${where} answers lean ${drift.value > 0 ? 'left' : 'right'} of the report by ${Math.abs(drift.value)} (${drift.low} to ${drift.high}; judge: ${judge}; served ${served.value}, reported ${reported!.value}); tolerated is ${tolerance}` }] : []
  })
  const beyond = rates.flatMap(({ kind, share: found, most }): Alert[] =>
    most !== null && found.low !== null && found.low > most ? [{ ...about, kind, says: `${kind.replace('_', ' ')} in ${found.hits} of ${read} answers (${found.low} to ${found.high} of all); the ceiling is ${most}` }] : [])
  return [...drifted, ...beyond]
}
