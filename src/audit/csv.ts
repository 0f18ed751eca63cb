/** Rows for a spreadsheet. A cell that a spreadsheet would run as a formula is made text: transcripts are written by strangers. Pure. */

/** What spreadsheets take for the beginning of a formula, or of a command. */
const FORMULA = /^[=+\-@\t\r]/

type Cell = string | number | boolean | object | null | undefined

const cell = (value: Cell): string => {
  const text = value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)
  const harmless = typeof value === 'number' ? text : FORMULA.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}

/** RFC 4180: commas, quotes doubled, lines end with CR LF. */
export const csvRow = (values: readonly Cell[]): string => `${values.map(cell).join(',')}\r\n`
