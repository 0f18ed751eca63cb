/** Tells how far a long step is: a bar that redraws itself on a terminal, a few lines anywhere else. Knows nothing of the step. */

const BAR_WIDTH = 30
/** A terminal is redrawn at most this often. */
const REDRAW_MS = 100
/** Elsewhere (a log file, CI) one line for each of these parts of the whole. */
const LINES = 4
const MB = 1_000_000

/**
 * `to(bytes)` sets how much of `total` is done, `end()` closes the line. Never goes back and never shows more than the whole,
 * for a total may be an estimate.
 */
export function startProgress (label, total, stream = process.stderr) {
  let shown = 0
  let drawnAt = 0
  let printed = 0
  const text = (part) => `${label} ${Math.round(part * total / MB)} of ${Math.round(total / MB)} MB`
  const bar = (part) => {
    const full = Math.round(part * BAR_WIDTH)
    stream.write(`\r[${'#'.repeat(full)}${' '.repeat(BAR_WIDTH - full)}] ${String(Math.round(part * 100)).padStart(3)} % ${text(part)}`)
  }
  return {
    to (bytes) {
      shown = Math.max(shown, Math.min(1, bytes / total))
      if (stream.isTTY) {
        if (Date.now() - drawnAt < REDRAW_MS) return
        drawnAt = Date.now()
        bar(shown)
      } else if (Math.floor(shown * LINES) > printed) {
        printed = Math.floor(shown * LINES)
        stream.write(`${text(shown)}\n`)
      }
    },
    end () {
      if (!stream.isTTY) return
      bar(shown)
      stream.write('\n')
    },
  }
}
