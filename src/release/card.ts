/** The part of a model card that a release writes: what was held against which threshold, and what was waived. The rest of a card is people's, and stays. Pure. */
import type { Declaration } from '../perspectives/perspective.ts'
import type { Check } from './gate.ts'
import { leanInWords } from './declare.ts'

const BEGIN = '<!-- release: written by "parallax release", and written over by the next one -->'
const END = '<!-- /release -->'

export interface CardFacts {
  readonly declared: Declaration
  readonly released: string
  readonly checks: readonly Check[]
  readonly report: { readonly file: string, readonly sha256: string }
  readonly gateSha256: string
  readonly training: { readonly stage: string, readonly sha256: string } | null
}

const number = (value: number | null): string => value === null ? '–' : String(Math.round(value * 1000) / 1000)
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
const row = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`

/** The card with this release's section in the place of the last one, or at its end. */
export function withSection (card: string, facts: CardFacts): string {
  const section = `${BEGIN}\n${sectionOf(facts)}\n${END}`
  const [from, to] = [card.indexOf(BEGIN), card.indexOf(END)]
  if (from >= 0 && to > from) return `${card.slice(0, from)}${section}${card.slice(to + END.length)}`
  return `${card.trimEnd()}\n\n${section}\n`
}

function sectionOf ({ declared, released, checks, report, gateSha256, training }: CardFacts): string {
  const { id, version, adapter, slant, base } = declared
  const mine = checks.filter(({ perspective }) => perspective === id || (perspective === null && adapter !== null))
  const waived = mine.flatMap(({ waiver }) => waiver ? [waiver] : [])
  return `## Release ${version}

Released on ${released}. Where the text outside of this section speaks of another version, this section counts.

- Base: ${base.model}, SHA-256 \`${base.sha256}\`.
${adapter ? `- Adapter: \`${adapter.name}\` (\`${adapter.file}\`, ${adapter.bytes} bytes), SHA-256 \`${adapter.sha256}\`.\n` : '- No adapter: the base as published.\n'}${training ? `- Training: last stage ${training.stage}, manifest SHA-256 \`${training.sha256}\`.\n` : ''}- Measured slant: ${slant === null ? 'not measured' : leanInWords(slant)}.
- Report: \`${report.file}\`, SHA-256 \`${report.sha256}\`. Gate: \`release/gate.json\`, SHA-256 \`${gateSha256}\`.
${mine.length === 0 ? '' : `
### What the gate found

| threshold | wanted | value | 95 % interval | n | |
| --- | --- | --- | --- | --- | --- |
${mine.map(({ threshold, wanted, value, low, high, n, outcome }) => row([threshold, wanted, number(value), low === null ? '–' : `${number(low)} to ${number(high)}`, String(n), outcome])).join('\n')}
`}${waived.length === 0 ? '' : `
### Waived

Not reached, and released all the same, by name and for this version only:

${waived.map((one) => `- **${one.threshold}**: ${one.value === null ? 'not measured' : number(one.value)} was reached. ${one.reason} (${one.by}, ${one.date})`).join('\n')}
`}`
}
