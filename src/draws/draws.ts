/**
 * Draws for weighted mixtures: the promise, whoever keeps the secrets. Knows nothing of perspectives but their ids.
 */
import type { Weights } from '../router/weights.ts'

export interface DrawAsk {
  readonly tenant: string
  /** The caller's name for a conversation; null: each request is drawn for itself. */
  readonly sticky: string | null
  readonly request: string
  readonly seed: number | null
  readonly weights: Weights
}

/** As it stands in the leaf and in the answer: with the epoch's secret, once revealed, anyone can compute it again. */
export interface Draw {
  readonly epoch: number
  /** SHA-256 (hex) of the conversation's name, or null. */
  readonly sticky: string | null
  /** The request that it was made for, or null where the conversation's name counts. Another's where an answer is told again. */
  readonly request: string | null
  readonly seed: number | null
  /** In [0, 1). */
  readonly value: number
  readonly chosen: string
}

/**
 * - nobody can predict a draw: each epoch's secret is random, committed to by its hash in a `draw.epoch` leaf before its first draw;
 * - everybody can check it afterwards: the secret is revealed in another leaf when the epoch has ended;
 * - a sticky conversation keeps its epoch, and with the same weights and seed its perspective, over replicas and restarts;
 * - fail closed: `audit_unavailable` where the leaf cannot be written, and no draw is made from an uncommitted secret.
 */
export interface Draws {
  draw (ask: DrawAsk): Promise<Draw>
  close (): Promise<void>
}
