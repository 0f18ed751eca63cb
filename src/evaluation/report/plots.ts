/** Plots as inline SVG, without a script. Pure. Two colours of like brightness for the sides, grey for the baseline: none of them stands out. */
import type { Estimate } from '../estimate.ts'

export const escape = (text: string): string => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`)

export const COLOURS = { left: '#1c7c8c', right: '#a8641c', baseline: '#6b6b6b' } as const
export type Colour = keyof typeof COLOURS
/** So that nothing depends on colour alone. */
const mark = (colour: Colour, x: number, y: number): string => {
  const fill = COLOURS[colour]
  if (colour === 'left') return `<circle cx="${x}" cy="${y}" r="5" fill="${fill}"/>`
  if (colour === 'right') return `<rect x="${x - 4.5}" y="${y - 4.5}" width="9" height="9" fill="${fill}"/>`
  return `<path d="M${x} ${y - 5.5}l5.5 5.5l-5.5 5.5l-5.5 -5.5z" fill="${fill}"/>`
}

export interface Row { readonly label: string, readonly points: readonly { readonly name: string, readonly colour: Colour, readonly estimate: Estimate }[] }

/** `low` is at the left edge, and may be the larger one. */
export interface Scale { readonly low: number, readonly high: number, readonly ticks: readonly number[], readonly lowEnd: string, readonly highEnd: string, readonly reference?: number }

const WIDTH = 760
const LABEL = 250
const RIGHT = 24
const LANE = 13

/** Points with their intervals, a line each; every row has a lane for each of its points. */
export function intervals (title: string, rows: readonly Row[], { low, high, ticks, lowEnd, highEnd, reference }: Scale): string {
  const x = (value: number): number => Math.round((LABEL + (Math.min(Math.max(low, high), Math.max(Math.min(low, high), value)) - low) / (high - low) * (WIDTH - LABEL - RIGHT)) * 10) / 10
  const parts: string[] = []
  let y = 34
  for (const { label, points } of rows) {
    const height = Math.max(1, points.length) * LANE + 10
    parts.push(`<text x="${LABEL - 12}" y="${y + height / 2 + 4}" text-anchor="end">${escape(label)}</text>`, `<line x1="${LABEL}" x2="${WIDTH - RIGHT}" y1="${y + height}" y2="${y + height}" class="rule"/>`)
    for (const [lane, { name, colour, estimate: one }] of points.entries()) {
      const at = y + 10 + lane * LANE
      if (one.value === null) { parts.push(`<text x="${LABEL + 4}" y="${at + 4}" class="small">${escape(name)}: ${escape(one.reason ?? 'not measured')}</text>`); continue }
      const words = `${name}: ${numberText(one)}`
      parts.push(`<g><title>${escape(words)}</title><line x1="${x(one.low ?? one.value)}" x2="${x(one.high ?? one.value)}" y1="${at}" y2="${at}" stroke="${COLOURS[colour]}" stroke-width="2.5"/>${mark(colour, x(one.value), at)}</g>`)
    }
    y += height
  }
  const grid = ticks.map((tick) => `<line x1="${x(tick)}" x2="${x(tick)}" y1="28" y2="${y}" class="${tick === reference ? 'reference' : 'rule'}"/><text x="${x(tick)}" y="${y + 16}" text-anchor="middle" class="small">${tick}</text>`).join('')
  return `<svg viewBox="0 0 ${WIDTH} ${y + 40}" role="img" aria-label="${escape(title)}">${grid}<text x="${LABEL}" y="18" class="small">← ${escape(lowEnd)}</text><text x="${WIDTH - RIGHT}" y="18" text-anchor="end" class="small">${escape(highEnd)} →</text>${parts.join('')}</svg>`
}

/** Two axes of a questionnaire; bars are the intervals. */
export function compass (title: string, axes: readonly [{ readonly low: string, readonly high: string }, { readonly low: string, readonly high: string }], points: readonly { readonly name: string, readonly colour: Colour, readonly x: Estimate, readonly y: Estimate }[]): string {
  const SIZE = 380
  const at = (value: number): number => Math.round((SIZE / 2 + value / 10 * (SIZE / 2 - 40)) * 10) / 10
  const up = (value: number): number => SIZE - at(value)
  const drawn = points.flatMap(({ name, colour, x, y }) => x.value === null || y.value === null || x.low === null || y.low === null ? [] : [
    `<g><title>${escape(`${name}: ${numberText(x)} and ${numberText(y)}`)}</title><line x1="${at(x.low)}" x2="${at(x.high!)}" y1="${up(y.value)}" y2="${up(y.value)}" stroke="${COLOURS[colour]}" stroke-width="2"/><line x1="${at(x.value)}" x2="${at(x.value)}" y1="${up(y.low)}" y2="${up(y.high!)}" stroke="${COLOURS[colour]}" stroke-width="2"/>${mark(colour, at(x.value), up(y.value))}</g>`])
  return `<svg viewBox="0 0 ${SIZE} ${SIZE}" style="max-width:420px" role="img" aria-label="${escape(title)}"><rect x="40" y="40" width="${SIZE - 80}" height="${SIZE - 80}" fill="none" class="rule"/><line x1="${SIZE / 2}" x2="${SIZE / 2}" y1="40" y2="${SIZE - 40}" class="reference"/><line x1="40" x2="${SIZE - 40}" y1="${SIZE / 2}" y2="${SIZE / 2}" class="reference"/>
<text x="36" y="${SIZE / 2 + 4}" text-anchor="end" class="small" transform="rotate(-90 30 ${SIZE / 2})"> </text><text x="${SIZE / 2}" y="30" text-anchor="middle" class="small">${escape(axes[1].high)}</text><text x="${SIZE / 2}" y="${SIZE - 20}" text-anchor="middle" class="small">${escape(axes[1].low)}</text><text x="24" y="${SIZE / 2}" text-anchor="middle" class="small" transform="rotate(-90 24 ${SIZE / 2})">${escape(axes[0].low)}</text><text x="${SIZE - 24}" y="${SIZE / 2}" text-anchor="middle" class="small" transform="rotate(90 ${SIZE - 24} ${SIZE / 2})">${escape(axes[0].high)}</text>${drawn.join('')}</svg>`
}

export const legend = (names: readonly { readonly name: string, readonly colour: Colour }[]): string =>
  `<p class="legend">${names.map(({ name, colour }) => `<span><svg viewBox="0 0 14 14" style="width:14px;height:14px">${mark(colour, 7, 7)}</svg> ${escape(name)}</span>`).join(' ')}</p>`

const short = (value: number): string => String(Math.round(value * 1000) / 1000).replace('-', '−')

/** "0.93 (0.88 to 0.96; n 104)" */
export function numberText (one: Estimate): string {
  if (one.value === null) return `n/a: ${one.reason ?? 'not measured'}`
  return `${short(one.value)} (${one.low === null ? 'no interval' : `${short(one.low)} to ${short(one.high!)}`}; n ${one.n})`
}
