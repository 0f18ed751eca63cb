/** Tells how far a long command is: a bar that redraws itself on a terminal, a few plain lines anywhere else. Knows nothing of the work. */

const WIDTH = 24
/** A terminal is redrawn at most this often, and elsewhere a line is written at most this often. */
const REDRAW_MS = 100
const LINE_MS = 5_000

export interface Progress {
  to (label: string, done: number, total: number): void
  /** Clears the bar, so that what is printed next stands alone. */
  end (): void
}

export function progress (title: string, write: (text: string) => void, terminal: boolean): Progress {
  // elsewhere nothing is said before it has been long: a second's work needs no lines
  let last = terminal ? 0 : Date.now()
  let drawn = false
  return {
    to (label, done, total) {
      const now = Date.now()
      if (now - last < (terminal ? REDRAW_MS : LINE_MS)) return
      last = now
      const part = total > 0 ? Math.min(1, done / total) : undefined
      const amount = `${done.toLocaleString('en')}${total > 0 ? ` of ${total.toLocaleString('en')}` : ''}`
      if (!terminal) { write(`${title}: ${label}, ${amount}\n`); return }
      const full = Math.round((part ?? 0) * WIDTH)
      write(`\r\u001b[K[${'#'.repeat(full)}${' '.repeat(WIDTH - full)}] ${part === undefined ? '' : `${String(Math.floor(part * 100)).padStart(3)} % `}${title}: ${label}, ${amount}`)
      drawn = true
    },
    end () { if (drawn) write('\r\u001b[K') },
  }
}
