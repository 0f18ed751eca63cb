/** What a request's Cache-Control asks for (RFC 9111, 5.2.1). Pure. Where it is unclear, the stricter reading counts. */

export interface Directives {
  readonly noCache: boolean
  readonly noStore: boolean
  readonly onlyIfCached: boolean
  /** Seconds. An age that cannot be read is 0: nothing is young enough. */
  readonly maxAge: number | null
  /** Seconds that a kept answer has to be good for yet. One that cannot be read is more than any has. */
  readonly minFresh: number | null
}

/** RFC 9111, 1.2.2: what is larger is taken for this. */
const MOST_SECONDS = 2 ** 31

/** name, quoted value, plain value; a comma in quotes is part of the value. */
const DIRECTIVE = /([^\s,="]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/g

/** No client writes so many; what is longer is not read, and keeps nothing. */
const LONGEST = 1024

const seconds = (text: string, unreadable: number): number => /^\d+$/.test(text) ? Math.min(Number(text), MOST_SECONDS) : unreadable

const DEFAULT: Directives = { noCache: false, noStore: false, onlyIfCached: false, maxAge: null, minFresh: null }

export function parseCacheControl (header: string | undefined): Directives {
  if (header === undefined || header === '') return DEFAULT
  if (header.length > LONGEST) return { ...DEFAULT, noStore: true }
  let { noCache, noStore, onlyIfCached, maxAge, minFresh } = DEFAULT
  for (const [, name = '', quoted, plain] of header.matchAll(DIRECTIVE)) {
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? ''
    switch (name.toLowerCase()) {
      case 'no-cache': noCache = true; break
      case 'no-store': noStore = true; break
      case 'only-if-cached': onlyIfCached = true; break
      case 'max-age': maxAge = Math.min(maxAge ?? Infinity, seconds(value, 0)); break
      case 'min-fresh': minFresh = Math.max(minFresh ?? 0, seconds(value, MOST_SECONDS)); break
      // max-stale: nothing stale is kept; unknown ones are to be ignored
      default:
    }
  }
  return { noCache, noStore, onlyIfCached, maxAge, minFresh }
}
