/** The findings as a page for everybody: numbers and record ids, no word of anybody's. Pure. */
import type { Estimate } from '../evaluation/estimate.ts'
import type { Findings, GroupFindings } from './findings.ts'
import { verdict } from './verdict.ts'

const number = ({ value, low, high, n }: Estimate): string => value === null ? 'not measured' : low === null ? `${value} (no interval, n = ${n})` : `${value} (${low} to ${high}, n = ${n})`
const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
/** A page of ids helps nobody: the rest is in the JSON. */
const SHOWN = 50

export function outputsPage (findings: Findings): string {
  const { window, as_of: asOf, seed, size, report, groups, alerts, policy_texts: policy, broken } = findings
  return `# What was served, ${window.from} to ${window.to}

A random sample of whole answers, at most ${size} a voice, drawn by the seed \`${seed}\` from the log of ${asOf} leaves, read with an auditor's key: the reading is on record. Judges and lists read words and not meaning; each number has its 95 % interval, where more than one answer stands behind it. ${report ? `Compared with \`${report.file}\`.` : 'No report of an evaluation is there to compare with.'}

${alerts.length === 0 ? verdict(findings) : `## Beyond what is tolerated\n\n${alerts.map((one) => `- **${one.perspective}** (${one.adapter_sha256?.slice(0, 12) ?? 'no adapter'}): ${one.says}.`).join('\n')}`}

${groups.map(groupPage).join('\n\n')}

Not sampled: ${policy} fixed texts of the policy, which no perspective wrote, and ${broken} answers that did not come to their end.
`
}

const digestOf = (digest: string | null): string => digest === null ? 'none' : `\`${digest}\``

function groupPage ({ perspective, role, adapter_sha256: digest, parts, served, sampled, read, gone, political, stance, rates, flagged }: GroupFindings): string {
  const adapters = parts ? `Adapters: ${parts.map((one) => `${one.weight} ${one.id} (${digestOf(one.adapter_sha256)})`).join(', ')}` : `Adapter: ${digestOf(digest)}`
  return `## ${perspective}${parts ? ` of ${parts.map((one) => `${one.weight} ${one.id}`).join(', ')}` : ''}${role === null ? '' : `, ${role}`}

${adapters}. ${served} answers, ${sampled} drawn, ${read} read, of which ${political} are political. Not there any more: ${gone.erased} erased, ${gone.expired} expired, ${gone.damaged} that cannot be opened; ${gone.unreadable} without text.

| answers | judge | served (1 left, -1 right) | report | drift |
| --- | --- | --- | --- | --- |
${stance.map((one) => row([one.about, one.judge, number(one.served), one.reported ? number(one.reported) : '–', one.drift ? number(one.drift) : '–'])).join('\n')}

| found | share of answers | ceiling |
| --- | --- | --- |
${rates.map(({ kind, share, most }) => row([kind.replace('_', ' '), number(share), most === null ? '–' : String(most)])).join('\n')}
${flagged.length === 0 ? '' : `\nFor a person to look at: ${flagged.slice(0, SHOWN).map(({ record, choice, found }) => `\`${record}\`${choice > 0 ? ` (choice ${choice})` : ''}: ${found.join(', ').replaceAll('_', ' ')}`).join('; ')}${flagged.length > SHOWN ? `; and ${flagged.length - SHOWN} more` : ''}.\n`}`
}
