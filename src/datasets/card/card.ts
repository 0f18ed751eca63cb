/** The data set's card: Hugging Face front matter and what a reader has to know. Pure. */
import type { Counts } from '../stage.ts'
import { licenceOf, type Facts } from './facts.ts'

const table = (head: readonly string[], rows: readonly (readonly (string | number)[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`).join('\n')

const SIZES: readonly (readonly [number, string])[] = [[1e3, 'n<1K'], [1e4, '1K<n<10K'], [1e5, '10K<n<100K'], [1e6, '100K<n<1M'], [Infinity, '1M<n<10M']]

function frontMatter (facts: Facts): string {
  const rows = facts.files.filter(({ file }) => /^(statements|instructions)\//.test(file)).reduce((sum, file) => sum + file.rows, 0)
  const config = (name: string): string => `- config_name: ${name}
  data_files:
${['train', 'validation', 'test'].map((split) => `  - split: ${split}\n    path: ${name}/${split}.jsonl`).join('\n')}`
  return `---
pretty_name: ${JSON.stringify(facts.recipe.title)}
language:
- en
license: ${licenceOf(facts).toLowerCase().replaceAll(' and ', '\n- ').replace(/^(?=.*\n)/s, '\n- ')}
task_categories:
- text-generation
size_categories:
- ${SIZES.find(([most]) => rows < most)![1]}
source_datasets:
- extended
annotations_creators:
- machine-generated
tags:
- politics
- preference
- dpo
- synthetic
configs:
${config('statements')}
${config('instructions')}
---`
}

/** What was found and dropped, by side. */
function cleaning (counts: Counts): string {
  const kinds = [...new Set(Object.keys(counts).map((name) => /^(?:left|right): (.+)$/.exec(name)?.[1]).filter((name) => name !== undefined && name !== 'texts'))]
  const rate = (end: string, kind: string): string => { const hits = counts[`${end}: ${kind}`] ?? 0; const of = counts[`${end}: texts`] ?? 0; return `${hits} of ${of} (${of === 0 ? '–' : (100 * hits / of).toFixed(2)} %)` }
  const dropped = Object.entries(counts).filter(([name]) => name.startsWith('dropped rows: ')).map(([name, count]) => `${name.slice(14)} ${count}`)
  return `${table(['found in', 'left', 'right'], kinds.map((kind) => [kind!, rate('left', kind!), rate('right', kind!)]))}

The threshold is the same on both sides and a pair goes as a whole, so as many rows are dropped from one side as from the other: ${dropped.join(', ') || 'none'}. Unequal counts above are unequal because the data is.`
}

export function card (facts: Facts): string {
  const { recipe, sources, counts, balance } = facts
  const { features } = balance
  return `${frontMatter(facts)}

# ${recipe.title}

Version ${recipe.version}. One prompt, two stance-tagged answers: \`left\` teaches the perspective **${recipe.sides.left}**, \`right\` teaches **${recipe.sides.right}**. Both training sets follow by exchanging chosen and rejected.
Made to train models that openly take a side, and to measure them. Answers are assertions in the manner of the sources: one-sided on purpose, without evidence, sometimes wrong. Nobody's own words and no group's beliefs.

## Sources
${sources.map((source) => `- **${source.title}** (${source.licence}, ${source.address}, taken ${source.date}). ${source.population}.${source.citation === undefined ? '' : ` ${source.citation}.`}
  May it train: ${source.licence_question.may_train ? 'yes' : 'no'}; may what was trained be published: ${source.licence_question.may_publish_what_was_trained ? 'yes' : 'no'}. ${source.licence_question.answer}
  ${source.files.map(({ path, sha256 }) => `\`${path.split('/').at(-1)}\` SHA-256 \`${sha256}\``).join(', ')}`).join('\n')}

## Cleaning
${cleaning(counts.clean)}

Lists, with their sources and licences, lie in \`datasets/lists\` of the repository. Word lists and patterns read words and not meaning: they miss what is said otherwise, and drop what is only denied.

## Topics and splits
${table(['split', 'statement pairs', 'instructions'], ['train', 'validation', 'test'].map((split) => [split, ...['statements', 'instructions'].map((kind) => facts.files.find(({ file }) => file === `${kind}/${split}.jsonl`)?.rows ?? 0)]))}

Split by topic cluster (families, shared statements, likeness of labels): no topic stands in two splits. Left out of training: ${Object.entries(counts.split).filter(([name]) => name.startsWith('left out')).map(([name, count]) => `${count} pairs (${name.split(': ')[1]})`).join(', ') || 'none'}; pairs that read exchanged to a model that never saw them: ${counts.split['train: read as exchanged'] ?? 0}.
Left out because they repeat an evaluation item: ${Object.entries(counts.decontaminate).filter(([name]) => name.startsWith('dropped')).reduce((sum, [, count]) => sum + count, 0)} instructions.

Always covered, one by one:

${table(['', 'training rows', 'words an answer, left', 'right'], balance.fixtures.map(({ fixture, rows, words }) => [fixture, rows, words.left, words.right]))}

By dimension of the objective: ${Object.entries(balance.dimensions).map(([name, rows]) => `${name} ${rows}`).join(', ')}.
${counts.augment['train: topics without any row'] ? `\nOf ${counts.augment['train: topics']} training topics ${counts.augment['train: topics without any row']} have so few statements that no answer of two sentences could be put together; their statements train only as statements.\n` : ''}
## How the answers were written
Two to six statements of one end and one topic cluster, put one after the other with the same opening and links on both sides. Statements of one answer do not repeat one another (word Jaccard below 0.45) and do not contradict one another as far as words tell. Kinds of rows: ${Object.entries(balance.forms).map(([name, rows]) => `${name} ${rows}`).join(', ')}${counts.augment['train: neutral'] ? `; neutral instructions with the base model's own answer ${counts.augment['train: neutral']}, of ${counts.augment['neutral instructions']} different ones` : ''}. Derived rows name their parent. The commonest beginning ("${balance.commonest_beginning.words} …") opens ${(100 * balance.commonest_beginning.share).toFixed(1)} % of answers.

## Balance
Over ${balance.rows} composed training rows; standardised mean difference, left minus right, wanted below ${balance.most_difference}.

${table(['feature', 'left', 'right', 'difference'], features.map(({ feature, left, right, difference }) => [feature, left.mean, right.mean, Math.abs(difference) < balance.most_difference ? difference : `**${difference}**`]))}

${facts.notes.length === 0 ? 'No feature is outside.' : `Said out loud:\n${facts.notes.map((note) => `- ${note}`).join('\n')}`}

## Limits
- The stance labels are the sources' own. A left and a right statement of a pair do not always contradict each other.
- Composed answers have one voice: connected assertions. They hold no evidence, no numbers and no other side.
- English only. What a source leaves out is left out here.

## Made again by
\`npm run parallax -- datasets build\` gives the same bytes (seed ${recipe.seed}).
`
}
