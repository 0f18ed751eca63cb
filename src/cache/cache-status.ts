/** What became of a request at the cache, for the reply's Cache-Status (RFC 9211). Pure. */

export type Fate =
  | { readonly hit: true, /** Seconds that it is good for yet. */ readonly ttl: number }
  | {
    /**
     * Why an expert was asked: there was nothing (`miss`), something that the request did not allow (`request`: `no-cache`, or older than its
     * `max-age`), or the cache was not asked at all (`bypass`: a sampled answer, `no-store`, switched off).
     */
    readonly fwd: 'miss' | 'request' | 'bypass'
    readonly stored?: boolean
    /** It was answered by a call that somebody else's request made. */
    readonly collapsed?: boolean
  }

export function cacheStatus (fate: Fate): string {
  if ('hit' in fate) return `parallax; hit; ttl=${Math.floor(fate.ttl)}`
  return `parallax; fwd=${fate.fwd}${fate.stored ? '; stored' : ''}${fate.collapsed ? '; collapsed' : ''}`
}
