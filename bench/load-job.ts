/** What the load generator is told to do, and what it found. */

export interface LoadJob {
  readonly port: number
  /** The whole HTTP request; the digits at `counterAt` are replaced by a number of its own for each. */
  readonly request: string
  readonly counterAt: number | null
  /** Closed loop: this many connections, each asking again as soon as it was answered. */
  readonly connections: number
  /** Open loop instead: requests a second, on as many connections as that takes. */
  readonly rate: number | null
  /** Load before and after the window that is measured. */
  readonly rampMs: number
  /** The ramp ends before its time when so many were answered. */
  readonly rampAnswers?: number
  readonly measureMs: number
  /** Processes whose CPU time is read at both ends of the window, by name. */
  readonly watch: Readonly<Record<string, number>>
}

export const COUNTER_DIGITS = 12

export interface LoadResult {
  /** Answers inside the window, and the window's length. */
  readonly answers: number
  readonly events: number
  readonly seconds: number
  /** All answers, with those before and after the window. */
  readonly answersInAll: number
  readonly failures: number
  readonly firstFailure: string | null
  /** Milliseconds from sending to the whole answer, and to its first event (or byte), of each answer in the window. */
  readonly latencies: readonly number[]
  readonly firsts: readonly number[]
  readonly bodyBytes: number
  /** CPU seconds in the window, by the names of `watch`, and the load generator's own as `load`. */
  readonly cpu: Readonly<Record<string, number>>
  /** Seconds each core was busy with anything at all. */
  readonly cores: readonly number[]
}
