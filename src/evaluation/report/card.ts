/** The evaluation's section of a perspective's card, made from its report. Pure. What stands above and below it is others'. */
import { EvaluationError } from '../evaluation-error.ts'
import { headlines } from './headlines.ts'
import { numberText } from './plots.ts'
import type { Report } from './schema.ts'

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')

export function cardSection (report: Report, id: string): string {
  const own = report.perspectives[id]
  if (!own) throw new EvaluationError(`The report ${report.version} has no perspective "${id}"; it has ${Object.keys(report.perspectives).join(', ')}.`)
  const base = report.sides.baseline === id ? null : report.perspectives[report.sides.baseline]!
  const columns = base ? [own, base] : [own]
  return `## Evaluation

By \`parallax evaluate\`, through the public API, in \`reports/${report.version}/\` (${report.mode === 'full' ? 'full' : 'quick: too few items for any decision'}; seed ${report.seed}): ${own.weights?.adapter ? `\`${own.weights.adapter}\`, SHA-256 \`${own.weights.adapter_sha256 ?? 'not declared'}\`` : `\`${own.weights?.model ?? 'not declared'}\`, no adapter`}. Each number with its 95 % interval. ${report.split.held_out.length} topics are held out and never trained.

${table(['measure', id, ...(base ? [report.sides.baseline] : [])], headlines(report).flatMap(({ title, of }) => { const cells = columns.map((one) => of(one)); return cells[0] ? [[title, ...cells.map((one) => one ? numberText(one) : '–')]] : [] }))}

Judges: ${report.judges.map((one) => `${one.id} (${one.title}; right on ${numberText(one.accuracy.statements)} of held-out statements)`).join('; ')}. A share of answers near a judge's accuracy is as much as it can show. They agree by ${report.agreement.filter(({ on }) => on === 'free answers').map((one) => `Cohen's kappa ${numberText(one.kappa)} (${one.first} and ${one.second}, free answers)`).join(', ') || 'an unknown amount'}.
${report.unscored === null ? '' : `\nLikelihood, perplexity and facts are n/a: ${report.unscored}.\n`}
### Topic by topic

Index of answers from −1 (right) to 1 (left), judge: ${report.judges[0]!.id}. The first ${report.topics.filter(({ fixture }) => fixture !== null).length} are always reported; where they are not held out they may have trained.

${table(['topic', 'held out', 'index', 'pairs of which the left statement is likelier'], report.topics.map((one) => { const mine = one.perspectives.find((each) => each.id === id)!; return [one.topic, one.held_out ? 'yes' : 'no', numberText(mine.index[0]!.index), numberText(mine.left_likelier)] }))}
`
}

/** Where the next section begins: a heading, or what a release writes, which begins with its mark. */
const NEXT = '(?=^## |^<!-- release|(?![\\s\\S]))'
const EVALUATION = new RegExp(`^## Evaluation\\n[\\s\\S]*?${NEXT}`, 'm')

/** Puts the section in the place of the one that is there; before the limits or the release where there is none, else at the end. */
export function withSection (card: string, section: string): string {
  if (EVALUATION.test(card)) return card.replace(EVALUATION, () => `${section}\n`)
  const before = /^## Limits$|^<!-- release/m.exec(card)
  return before ? `${card.slice(0, before.index)}${section}\n${card.slice(before.index)}` : `${card.trimEnd()}\n\n${section}`
}
