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

const RANK = { bypass: 0, request: 1, miss: 2 } as const

/** Of several answers in one reply: a hit only where all are; stored or collapsed only where all that were forwarded are. */
export function together (fates: readonly [Fate, ...Fate[]]): Fate {
  let hit: Extract<Fate, { hit: true }> | undefined
  let forwarded: Extract<Fate, { fwd: unknown }> | undefined
  for (const fate of fates) {
    if ('hit' in fate) hit = hit && hit.ttl <= fate.ttl ? hit : fate
    else if (!forwarded) forwarded = fate
    else {
      forwarded = {
        fwd: RANK[fate.fwd] > RANK[forwarded.fwd] ? fate.fwd : forwarded.fwd,
        stored: forwarded.stored === true && fate.stored === true,
        collapsed: forwarded.collapsed === true && fate.collapsed === true,
      }
    }
  }
  return forwarded ?? hit!
}
