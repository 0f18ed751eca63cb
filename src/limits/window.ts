/**
 * A sliding window over buckets of time: how much was charged within the last minute, or day. Fixed windows would let 2 L through around
 * their edge, and a token bucket L at once and L more while it refills; a log of single requests would grow with L.
 * A bucket counts until all of it has left the window, so no span of that length ever holds more than L, and a charge counts at most one
 * bucket too long. Pure; redis.ts does the same in Lua.
 */

export interface Span {
  readonly bucketMs: number
  /** The window's length in buckets. */
  readonly buckets: number
}

export interface Spans { readonly minute: Span, readonly day: Span }

/** A charge counts for 60 to 61 seconds, and for 24 hours to 24 hours and a quarter. */
export const SPANS: Spans = { minute: { bucketMs: 1000, buckets: 60 }, day: { bucketMs: 900_000, buckets: 96 } }

export const spanSeconds = ({ bucketMs, buckets }: Span): number => Math.ceil(bucketMs * buckets / 1000)

export class SlidingWindow {
  readonly #span: Span
  /** Bucket b lies at place b % length: one more than the window has, for the span between two instants touches that many. */
  readonly #amounts: Float64Array
  /** The newest bucket. */
  #head = 0
  #used = 0

  constructor (span: Span) {
    this.#span = span
    this.#amounts = new Float64Array(span.buckets + 1)
  }

  /** Amount charged within the window that ends now. */
  used (now: number): number {
    this.#advance(now)
    return this.#used
  }

  /** Charges now; what comes back is for `settle`. */
  charge (now: number, amount: number): number {
    this.#advance(now)
    this.#add(this.#head, amount)
    return this.#head
  }

  /** Adds to what was charged in that bucket (less than nothing gives back). A bucket that has left the window is over: nothing happens. */
  settle (now: number, bucket: number, difference: number): void {
    this.#advance(now)
    if (bucket > this.#head - this.#amounts.length) this.#add(bucket, difference)
  }

  /** Milliseconds until at most `most` of what is charged now still counts. */
  wait (now: number, most: number): number {
    this.#advance(now)
    if (this.#used <= most) return 0
    let left = this.#used
    for (let bucket = this.#head - this.#span.buckets; bucket < this.#head; bucket++) {
      left -= this.#amounts[this.#place(bucket)]!
      if (left <= most) return this.#leaves(bucket) - now
    }
    return this.#leaves(this.#head) - now
  }

  /** Milliseconds until nothing of what is charged now still counts. */
  reset (now: number): number {
    this.#advance(now)
    for (let bucket = this.#head; bucket > this.#head - this.#amounts.length; bucket--) {
      if (this.#amounts[this.#place(bucket)] !== 0) return this.#leaves(bucket) - now
    }
    return 0
  }

  /** When a bucket has left the window. */
  #leaves (bucket: number): number {
    return (bucket + this.#amounts.length) * this.#span.bucketMs
  }

  #place (bucket: number): number {
    const { length } = this.#amounts
    return (bucket % length + length) % length
  }

  #add (bucket: number, amount: number): void {
    const place = this.#place(bucket)
    this.#amounts[place] = this.#amounts[place]! + amount
    this.#used += amount
  }

  #advance (now: number): void {
    const bucket = Math.floor(now / this.#span.bucketMs)
    const steps = bucket - this.#head
    if (steps <= 0) return
    if (steps >= this.#amounts.length) {
      this.#amounts.fill(0)
      this.#used = 0
    } else {
      for (let old = this.#head + 1; old <= bucket; old++) {
        const place = this.#place(old)
        this.#used -= this.#amounts[place]!
        this.#amounts[place] = 0
      }
    }
    this.#head = bucket
  }
}
