/** Results as Markdown tables, ready for bench/README.md. */

export type Cell = string | number

/** Numbers are right-aligned by their column's first row. */
export function table (head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => row.map(String))
  const widths = head.map((title, column) => Math.max(3, title.length, ...texts.map((row) => row[column]?.length ?? 0)))
  const right = head.map((_, column) => /^[<≤~]?-?[\d–]/.test(texts[0]?.[column] ?? ''))
  const line = (cells: readonly string[]) => `| ${cells.map((cell, column) => right[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)).join(' | ')} |`
  const rule = `|${widths.map((width, column) => `${'-'.repeat(width + 1)}${right[column] ? ':' : '-'}`).join('|')}|`
  return [line(head), rule, ...texts.map(line)].join('\n')
}

export const fixed = (value: number, digits: number): string => Number.isFinite(value) ? value.toFixed(digits) : '–'
export const whole = (value: number): string => Number.isFinite(value) ? Math.round(value).toLocaleString('en') : '–'
export const percent = (part: number): string => Number.isFinite(part) ? `${Math.round(part * 100)} %` : '–'
