/** The balance report as pictures: SVG, readable in light and dark, with the numbers in them. Pure. */
import type { BalanceReport } from './report.ts'

const LEFT = '#1b7f79'
const RIGHT = '#b3672b'
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

function page (title: string, width: number, height: number, body: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}" font-family="system-ui, sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="#fbfaf7"/>
<text x="16" y="24" font-size="15" font-weight="600" fill="#222">${escaped(title)}</text>
${body}
</svg>
`
}

const text = (x: number, y: number, what: string, more = ''): string => `<text x="${x}" y="${y}" fill="#222" ${more}>${escaped(what)}</text>`

/** How far apart the sides are in each feature; the band is what is allowed. */
export function differences ({ features, most_difference: most }: BalanceReport): string {
  const row = 22
  const [from, width] = [200, 360]
  const reach = Math.max(0.3, ...features.map(({ difference }) => Math.abs(difference))) * 1.15
  const x = (value: number): number => Math.round((from + width / 2 + value / reach * width / 2) * 10) / 10
  const height = 70 + features.length * row
  const rows = features.map(({ feature, difference }, i) => {
    const y = 60 + i * row
    const inside = Math.abs(difference) < most
    return `${text(16, y + 4, feature)}<line x1="${x(0)}" x2="${x(difference)}" y1="${y}" y2="${y}" stroke="#888"/><circle cx="${x(difference)}" cy="${y}" r="5" fill="${inside ? '#555' : '#c0392b'}"/>${text(from + width + 16, y + 4, `${difference >= 0 ? '+' : ''}${difference.toFixed(3)}`)}`
  }).join('\n')
  return page('Standardised mean difference, left minus right, of what trains', 640, height,
    `<rect x="${x(-most)}" y="40" width="${x(most) - x(-most)}" height="${height - 60}" fill="#e4ece4"/><line x1="${x(0)}" x2="${x(0)}" y1="40" y2="${height - 20}" stroke="#bbb"/>\n${rows}\n${text(from, height - 6, `Band: within ${most}. Red: outside, and said on the page.`, 'font-size="11"')}`)
}

/** Rows a topic cluster; both sides have the same number, by construction. */
export function topics ({ clusters }: BalanceReport): string {
  const shown = clusters.toSorted((a, b) => b.rows - a.rows || (a.cluster < b.cluster ? -1 : 1)).slice(0, 40)
  const most = Math.max(1, ...shown.map(({ rows }) => rows))
  const bars = shown.map(({ cluster, rows, fixture }, i) => `${text(16, 56 + i * 16, cluster, `font-size="11"${fixture === null ? '' : ' font-weight="600"'}`)}<rect x="200" y="${46 + i * 16}" width="${Math.round(rows / most * 360)}" height="11" fill="${fixture === null ? '#8a8f98' : '#3d5a80'}"/>${text(206 + Math.round(rows / most * 360), 56 + i * 16, String(rows), 'font-size="11"')}`)
  return page(`Composed training rows a topic cluster (${shown.length} largest; bold: always covered)`, 640, 70 + shown.length * 16, bars.join('\n'))
}

/** How long answers are, side over side. */
export function lengths ({ lengths: bins }: BalanceReport): string {
  const most = Math.max(1, ...bins.flatMap(({ left, right }) => [left, right]))
  const step = 560 / Math.max(1, bins.length)
  const bars = bins.map(({ from, left, right }, i) => {
    const [x, l, r] = [48 + i * step, Math.round(left / most * 180), Math.round(right / most * 180)]
    return `<rect x="${x.toFixed(1)}" y="${240 - l}" width="${(step * 0.42).toFixed(1)}" height="${l}" fill="${LEFT}"/><rect x="${(x + step * 0.45).toFixed(1)}" y="${240 - r}" width="${(step * 0.42).toFixed(1)}" height="${r}" fill="${RIGHT}"/>${i % 2 === 0 ? text(x, 256, String(from), 'font-size="10"') : ''}`
  })
  return page('Words an answer', 640, 290, `${bars.join('\n')}\n<rect x="440" y="36" width="12" height="12" fill="${LEFT}"/>${text(458, 47, 'left')}<rect x="510" y="36" width="12" height="12" fill="${RIGHT}"/>${text(528, 47, 'right')}${text(48, 280, `Tallest bar: ${most} answers.`, 'font-size="11"')}`)
}
