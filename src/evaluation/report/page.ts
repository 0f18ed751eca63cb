/** The report as one HTML page: self-contained, without scripts, readable on paper. Pure. */
import type { Estimate } from '../estimate.ts'
import { headlines } from './headlines.ts'
import { compass, escape, intervals, legend, numberText, type Colour, type Row } from './plots.ts'
import type { Perspective, Report } from './schema.ts'
import { linesOf } from './tables.ts'

const STYLE = `:root{color-scheme:light dark;--ink:#1d1d1f;--soft:#5c5c61;--rule:#dcdce0;--page:#fff}@media (prefers-color-scheme:dark){:root{--ink:#ececee;--soft:#a3a3a9;--rule:#3a3a3e;--page:#17171a}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:62rem;margin:2rem auto;padding:0 1rem}h1{font-size:1.8rem;margin:0}h2{margin:2.5rem 0 .5rem;font-size:1.25rem}p{max-width:48rem}
.soft,.small{color:var(--soft)}table{border-collapse:collapse;font-size:.85rem;width:100%;margin:.75rem 0}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--rule);vertical-align:top}td{font-variant-numeric:tabular-nums}
svg{width:100%;height:auto;display:block;font:12px system-ui,sans-serif;fill:var(--ink)}svg .small{font-size:11px;fill:var(--soft)}svg .rule{stroke:var(--rule)}svg .reference{stroke:var(--soft);stroke-dasharray:3 3}.legend svg{display:inline-block;vertical-align:-2px}.legend span{margin-right:1.2rem}
.wide{overflow-x:auto}code{font-size:.85em}details{margin:.5rem 0}summary{cursor:pointer}.note{border-left:3px solid var(--rule);padding-left:.8rem}`

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  `<div class="wide"><table><thead><tr>${head.map((cell) => `<th scope="col">${escape(cell)}</th>`).join('')}</tr></thead><tbody>${rows.map((row) => `<tr>${row.map((cell, at) => at === 0 ? `<th scope="row">${escape(cell)}</th>` : `<td>${escape(cell)}</td>`).join('')}</tr>`).join('')}</tbody></table></div>`

const changesTable = (before: string, now: string, changes: Report['beside'][number]['changes']): string =>
  table(['measure', 'perspective', before, now, 'change'], changes.map((one) => [one.measure, one.perspective, numberText(one.before), numberText(one.now), one.change === null ? '–' : String(one.change)]))

const cell = (one: Estimate | null): string => one === null ? '–' : numberText(one)

/** The left stands on the left. */
const SHARE = { low: 1, high: 0, ticks: [0, 0.25, 0.5, 0.75, 1], reference: 0.5 }
const INDEX = { low: 1, high: -1, ticks: [-1, -0.5, 0, 0.5, 1], lowEnd: 'left', highEnd: 'right', reference: 0 }

export function reportPage (report: Report): string {
  const ids = Object.keys(report.perspectives)
  const colourOf = (id: string): Colour => report.perspectives[id]!.side ?? 'baseline'
  const row = (label: string, of: (one: Perspective) => Estimate | null): Row => ({ label, points: ids.flatMap((id) => { const found = of(report.perspectives[id]!); return found ? [{ name: id, colour: colourOf(id), estimate: found }] : [] }) })
  const who = legend(ids.map((name) => ({ name, colour: colourOf(name) })))
  const section = (title: string, words: string, name: keyof Perspective): string => `<h2>${title}</h2><p>${words}</p>${table(['', ...ids], linesOf(report, name).map((line) => [line.name, ...line.cells.map(cell)]))}`
  const forms = report.perspectives[ids[0]!]!.questionnaires.map(({ questionnaire, title, axes }, at) => {
    const points = ids.map((id) => ({ id, axes: report.perspectives[id]!.questionnaires[at]!.axes }))
    const plane = axes.length < 2 ? '' : compass(`${title}: ${axes[0]!.title} and ${axes[1]!.title}`, [{ low: axes[0]!.low_end, high: axes[0]!.high_end }, { low: axes[1]!.low_end, high: axes[1]!.high_end }], points.map(({ id, axes: own }) => ({ name: id, colour: colourOf(id), x: own[0]!.point, y: own[1]!.point })))
    return `<h3>${escape(title)}</h3>${plane}${table(['axis', ...ids], axes.map(({ axis, title: name, low_end: low, high_end: high }, place) => [`${name} (−10 ${low}, 10 ${high})`, ...points.map(({ axes: own }) => `${numberText(own[place]!.point)}: ${own[place]!.region}`)].map((text) => text || axis)))}${table(['', ...ids], (['refused', 'unreadable', 'order_stable', 'negation_turns'] as const).map((name) => [name.replaceAll('_', ' '), ...ids.map((id) => numberText(report.perspectives[id]!.questionnaires.find((one) => one.questionnaire === questionnaire)![name]))]))}`
  }).join('')
  const judged = report.judges.map(({ id }) => row(`free answers, judge: ${id}`, (one) => one.separation.free_answers.find(({ judge }) => judge === id)?.index ?? null))
  const topicRows = (fixture: boolean): Row[] => report.topics.filter((one) => (one.fixture !== null) === fixture).map((one) => ({ label: one.held_out ? one.topic : `${one.topic} (may have trained)`, points: one.perspectives.map(({ id, index }) => ({ name: id, colour: colourOf(id), estimate: index[0]!.index })) }))
  const { previous } = report
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Evaluation ${escape(report.version)}</title><style>${STYLE}</style></head><body>
<h1>Evaluation ${escape(report.version)}</h1>
<p class="soft">${report.mode === 'full' ? 'Full' : 'Quick: too few items for any decision'} · seed ${report.seed} · ${report.split.held_out.length} topics held out, ${report.split.pairs} pairs on them · every number with its 95 % interval and n</p>
${table(['perspective', 'declared side', 'model', 'adapter', 'SHA-256 of the adapter'], ids.map((id) => { const { side, weights } = report.perspectives[id]!; return [id, side === 'left' ? 'progressive (left)' : side === 'right' ? 'conservative (right)' : 'none', weights?.model ?? 'not declared', weights?.adapter ?? '–', weights?.adapter_sha256 ?? '–'] }))}
${report.unscored === null ? '' : `<p class="note">Likelihood, perplexity and facts are n/a: ${escape(report.unscored)}.</p>`}
<h2>Summary</h2>${who}${table(['', ...ids], headlines(report).map(({ title, of }) => [title, ...ids.map((id) => cell(of(report.perspectives[id]!)))]))}
<h2>Separation on held-out topics</h2><p>Share of held-out pairs of which the left statement is likelier (mean log-probability a token):</p>${intervals('likelihood of held-out statements', [row('left statement likelier', (one) => one.separation.likelihood.left_share)], { ...SHARE, lowEnd: 'left likelier', highEnd: 'right likelier' })}
<p>How free answers to neutral questions lean, and answers to everyday prompts, where there should be no lean:</p>${intervals('index of answers', [...judged, ...report.judges.map(({ id }) => row(`everyday prompts, judge: ${id}`, (one) => one.leakage.slant.find(({ judge }) => judge === id)?.index ?? null))], INDEX)}
<h3>The judges</h3><p>A judge that is right in a share <i>a</i> of cases can put at most about that share of answers on the right side, if it errs alike on both: a share near it is as good as it can show. "Corrected" undoes that. Single statements are harder than answers of several sentences.</p>
${table(['judge', 'knows TwinViews', 'held-out statements', 'held-out pairs', 'has a verdict on'], report.judges.map((one) => [`${one.id}: ${one.title}`, one.independent_of_training_data ? 'no' : 'yes, other topics', numberText(one.accuracy.statements), numberText(one.accuracy.pairs), numberText(one.coverage)]))}
${table(['agreement', 'on', 'Cohen\'s kappa', 'same side'], report.agreement.map((one) => [`${one.first} and ${one.second}`, one.on, numberText(one.kappa), numberText(one.same)]))}
${section('Separation in numbers', 'Own share: for the progressive the left, for the conservative the right.', 'separation')}
<h2>Topics</h2><p>Always reported, held out or not (judge: ${escape(report.judges[0]!.id)}):</p>${who}${intervals('topics that are always reported', topicRows(true), INDEX)}<p>Held-out topics:</p>${intervals('held-out topics', topicRows(false), INDEX)}
<details><summary>Topics in numbers</summary>${table(['topic', 'held out', ...ids.flatMap((id) => [`${id}: left likelier`, ...report.judges.map((judge) => `${id}: index (${judge.id})`)])], report.topics.map((one) => [one.topic, one.held_out ? 'yes' : 'no', ...one.perspectives.flatMap(({ left_likelier: likelier, index }) => [numberText(likelier), ...index.map((each) => numberText(each.index))])]))}</details>
<h2>Questionnaires</h2><p>A refusal is never an answer: it stands in its own row and nowhere on an axis. "Neither" where the interval includes 0.</p>${who}${forms}
${section('Symmetry', 'Pairs of prompts that differ in the favoured side only. Difference: left less right.', 'symmetry')}
${section('Leakage', 'Everyday prompts and neutral text. Against the baseline: on the same prompts.', 'leakage')}
${section('Safety', 'Against the baseline on the same items. Out-groups: "left" are prompts about groups of the right, "right" about groups of the left.', 'safety')}
${section('Manner', 'Of the political answers. Word lists read words, not meaning. The gate has a ceiling here: stronger is not better.', 'manner')}
${section('Robustness', 'By paraphrase and seed; against a system prompt for the other side; after a turn that the other side answered.', 'robustness')}
<h2>Tests</h2><p>Each says what would be so if nothing were the matter; p is two-sided, corrected by Holm over all ${report.tests.length}.</p>${table(['if nothing were the matter', 'p', 'p, corrected'], report.tests.map((one) => [one.says, one.p.toFixed(4), one.p_holm.toFixed(4)]))}
${previous === null ? '' : `<h2>Since ${escape(previous.version)}</h2>${previous.mode === report.mode ? '' : `<p class="note">That one was a ${escape(previous.mode)} evaluation: the numbers are of other items.</p>`}${changesTable('before', 'now', previous.changes)}`}
${report.beside.map((one) => `<h2>Beside ${escape(one.name)}</h2><p>The same questions to other adapters: report ${escape(one.version)}, SHA-256 <code>${one.sha256}</code>, of ${escape(Object.entries(one.weights).map(([id, weights]) => `${id}: ${weights?.adapter_sha256 ?? 'no adapter'}`).join(', '))}. The change is this report less that one; the intervals are each one's own.</p>${changesTable(one.name, 'this report', one.changes)}`).join('')}
${report.curves.length === 0 ? '' : `<h2>Training</h2><p>Curves: ${report.curves.map(({ name, file, sha256 }) => `<a href="${escape(file)}">${escape(name)}</a> (SHA-256 <code>${sha256}</code>)`).join(', ')}.</p>`}
<h2>What was used</h2><p>Split: SHA-256 <code>${report.split.sha256}</code>; held out: ${escape(report.split.held_out.join(', '))}.</p>
<p>${report.decontamination.files.length === 0 ? 'No training data was named: that nothing of the evaluation stands in it was not checked.' : `None of ${report.decontamination.items} texts of the evaluation stands in the training data: ${escape(report.decontamination.files.map(({ file, texts, formulas }) => `${file} (${texts} texts, ${formulas} of which share eight words in a row with a held-out statement, as TwinViews' formulas do)`).join(', '))}.`}</p>
${table(['file', 'licence', 'SHA-256'], report.instruments.map(({ file, licence, sha256 }) => [file, licence, sha256]))}
</body></html>
`
}
