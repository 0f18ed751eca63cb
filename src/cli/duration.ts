/** Spans of time as people type them: `30d`, `12h`, `0`. Pure. */
import { UsageError } from './commands.ts'

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, y: 31_536_000 } as const

/** Seconds. Throws UsageError, naming the option. */
export function parseDuration (option: string, text: string): number {
  const [, count, unit] = /^(\d{1,6})([smhdwy])$/.exec(text) ?? []
  if (text === '0') return 0
  if (count === undefined) throw new UsageError(`Wanted ${option} as a number and a unit (s, m, h, d, w or y), such as 30d, got ${JSON.stringify(text)}.`)
  return Number(count) * SECONDS[unit as keyof typeof SECONDS]
}
