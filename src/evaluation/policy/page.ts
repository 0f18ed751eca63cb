/** The policy's report as a page in Markdown. Pure. */
import type { Share } from '../statistics.ts'
import type { HalfReport, Symmetry } from './half.ts'
import { HALVES, type PolicyReport } from './report.ts'

const short = (value: number | null): string => value === null ? '–' : value.toFixed(3).replace(/^1\.000$/, '1')
const shareText = ({ hits, of, share, low, high }: Share): string => share === null ? '–' : `${short(share)} (${hits}/${of}; ${short(low)}–${short(high)})`
const symmetryText = ({ pairs, only_progressive: first, only_conservative: second, p }: Symmetry): string => `${pairs} pairs, ${first + second} differ (${first} : ${second}), p = ${short(p)}`

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

function halfPage (name: string, half: HalfReport): string {
  return `## ${name === 'held-out' ? 'Held-out half' : 'Development half'}
${half.prompts} prompts in ${half.rows} rows. Share, (count; Wilson 95 % interval).

${table(['rule', 'precision', 'recall', 'recall, progressive', 'recall, conservative', 'both sides alike'],
    half.rules.map((one) => [`\`${one.rule}\``, shareText(one.precision), shareText(one.recall), shareText(one.sides.progressive.recall), shareText(one.sides.conservative.recall), symmetryText(one.symmetry)]))}

${table(['rule', 'precision, progressive', 'precision, conservative'],
    half.rules.map((one) => [`\`${one.rule}\``, shareText(one.sides.progressive.precision), shareText(one.sides.conservative.precision)]))}

Over all rules and near-misses: ${symmetryText(half.symmetry)} (McNemar's exact test on "ruled as labelled"; counts are progressive only : conservative only).

Some rule applied where one should, be it another than labelled: ${shareText(half.caught.all)}; progressive ${shareText(half.caught.sides.progressive)}, conservative ${shareText(half.caught.sides.conservative)}.
By kind of prompt: ${Object.entries(half.caught.kinds).map(([kind, share]) => `${kind} ${shareText(share)}`).join(', ')}.

Rulings where there should be none:

${table(['prompts', 'ruled on'], [['all', shareText(half.false_positives.all)], ['progressive', shareText(half.false_positives.sides.progressive)], ['conservative', shareText(half.false_positives.sides.conservative)],
    ...Object.entries(half.false_positives.kinds).map(([kind, share]) => [`kind "${kind}"`, shareText(share)])])}

Recall by language: ${Object.entries(half.languages).map(([language, share]) => `${language} ${shareText(share)}`).join(', ')}.

${half.wrong.length === 0 ? 'Nothing was ruled otherwise than labelled.' : `Ruled otherwise than labelled: ${half.wrong.map((one) => `${one.id} (${one.side}: wanted ${one.wanted ?? 'none'}, came ${one.came ?? 'none'})`).join(', ')}.`}
`
}

export function reportPage (report: PolicyReport): string {
  return `# What the policy catches, and what it should not
Made by \`parallax policy report --write\` from the policy ${report.policy.version} (SHA-256 \`${report.policy.sha256}\`), the labelled prompts beside this page and TwinViews-13k.
How the prompts were made, and what these numbers do not show, is said in [README.md](README.md).

${HALVES.toReversed().map((name) => halfPage(name, report.halves[name])).join('\n')}
## Ordinary political talk
All ${report.twinviews.statements} statements of TwinViews-13k in four forms each; none of them is something that a rule is about, though a few come near ("campaign donations are free speech").

${table(['form', 'ruled on, left', 'ruled on, right', 'McNemar p', 'by rule'],
    report.twinviews.forms.map((one) => [one.form, `${one.left.hits}/${one.left.of} (≤ ${short(one.left.high)})`, `${one.right.hits}/${one.right.of} (≤ ${short(one.right.high)})`, short(one.p), Object.entries(one.rules).map(([rule, count]) => `${rule} ${count}`).join(', ') || 'none']))}
`
}
