/**
 * Which of two texts is the left one: a logistic model over hashed words and word pairs of the difference, so that exchanging the ends
 * exchanges the sign of everything and nothing else. It reads words, not meaning. Memory does not grow with what it learns from.
 */
import { words } from '../text.ts'

const SIZE = 1 << 17
const RATE = 0.5

function slot (text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return (value ^ (value >>> 15)) & (SIZE - 1)
}

/** Slot -> value; a text's own length does not count. */
export function features (text: string): Map<number, number> {
  const found = new Map<number, number>()
  let last = '^'
  const all = words(text)
  for (const word of all) {
    for (const name of [word, `${last} ${word}`]) found.set(slot(name), 1)
    last = word
  }
  const scale = 1 / Math.sqrt(found.size || 1)
  for (const key of found.keys()) found.set(key, scale)
  return found
}

export class StanceModel {
  readonly #weights: Float32Array
  #seen = 0

  constructor (weights = new Float32Array(SIZE)) { this.#weights = weights }

  static from (kept: string): StanceModel { const bytes = Buffer.from(kept, 'base64'); return new StanceModel(new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))) }
  keep (): string { return Buffer.from(this.#weights.buffer).toString('base64') }

  /** Above 0 for a text in left's words. */
  score (text: ReadonlyMap<number, number>): number {
    let sum = 0
    for (const [key, value] of text) sum += this.#weights[key]! * value
    return sum
  }

  learn (left: ReadonlyMap<number, number>, right: ReadonlyMap<number, number>): void {
    const miss = 1 / (1 + Math.exp(this.score(left) - this.score(right)))
    const step = miss * RATE * 4 / (1 + this.#seen++ / 20_000)
    for (const [key, value] of left) this.#weights[key]! += step * value
    for (const [key, value] of right) this.#weights[key]! -= step * value
  }
}

/** How sure that `left` is the left one, from 0 to 1. */
export const confidence = (model: StanceModel, left: ReadonlyMap<number, number>, right: ReadonlyMap<number, number>): number =>
  Math.round(1000 / (1 + Math.exp(model.score(right) - model.score(left)))) / 1000
