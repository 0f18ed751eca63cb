/** Whoever places groups of leaves in a store: a thread, or (in tests that make commits fail) the caller's own. */
import type { Entry } from './entry.ts'
import type { Outcome } from './packet.ts'

export interface Written { readonly outcomes: Outcome[], readonly size: number, readonly reason: string | null, readonly checkpoint: string | null, readonly milliseconds: number }

/** Asked one thing at a time: the next when the one before was answered. */
export interface Writer {
  /** `accepted` is called when the entries are durable, if that is before they have their places. */
  write (entries: readonly Entry[], accepted: () => void): Promise<Written>
  /** Can it commit now? Says also how many leaves the store really holds. */
  probe (): Promise<{ readonly reason: string | null, readonly size: number }>
  /** Seals under the first of these keys from now on. */
  rekey (keks: readonly Uint8Array[]): Promise<void>
  /** Brings some records' keys under the current key-encryption key, from this index on; `next` is null when none is left. */
  rewrap (from: number): Promise<{ readonly next: number | null, readonly count: number }>
  close (): Promise<void>
}
