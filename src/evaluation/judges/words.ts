/**
 * A stance judge that reads words: two logistic regressions over hashed words and word pairs, one of which side a text is on, one of whether it
 * is political at all; learnt on training topics and neutral texts only. It knows vocabulary, not meaning: "not" hardly changes what it says. Pure.
 */
import { hash32, shuffled } from '../random.ts'
import { words } from '../text.ts'

export const SLOTS = 1 << 15
const EPOCHS = 10
const RATE = 0.4
const DECAY = 2e-5

/** Slot -> value; a text's length does not count. */
export function features (text: string): Map<number, number> {
  const found = new Map<number, number>()
  let last = '^'
  for (const word of words(text)) {
    for (const name of [word, `${last} ${word}`]) found.set(hash32(name) % SLOTS, 1)
    last = word
  }
  const scale = 1 / Math.sqrt(found.size || 1)
  for (const slot of found.keys()) found.set(slot, scale)
  return found
}

/** Weights as small whole numbers times `scale`, so that the file is small and the same everywhere. */
export interface WordsModel { readonly weights: Int8Array, readonly bias: number, readonly scale: number }

const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value))

function probability ({ weights, bias, scale }: WordsModel, found: ReadonlyMap<number, number>): number {
  let sum = bias
  for (const [slot, value] of found) sum += weights[slot]! * value
  return sigmoid(sum * scale)
}

export interface StanceModel {
  /** Of a political text: is it the left one? */
  readonly left: WordsModel
  readonly political: WordsModel
}

/**
 * From -1 (right) to 1 (left): P(political) · (2 · P(left | political) - 1). Without the first factor every recipe leans, for the second model
 * has to say something of words that it never met: -0.18 on neutral answers.
 */
export function stance ({ left, political }: StanceModel, text: string): number {
  const found = features(text)
  return probability(political, found) * (2 * probability(left, found) - 1)
}

export const politicalness = ({ political }: StanceModel, text: string): number => probability(political, features(text))

export interface Example { readonly text: string, readonly is: boolean, /** Tells the copies of a rare text apart. */ readonly copy?: number }

export function learn (examples: readonly Example[], seed: number): WordsModel {
  const weights = new Float64Array(SLOTS)
  let bias = 0
  const read = examples.map(({ text, is, copy }) => ({ key: copy ? `${copy} ${text}` : text, is, found: features(text) }))
  let step = 0
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    for (const { found, is } of shuffled(read, ({ key }) => key, seed + epoch)) {
      let sum = bias
      for (const [slot, value] of found) sum += weights[slot]! * value
      const rate = RATE * 8 / (1 + step++ / examples.length)
      const miss = Number(is) - sigmoid(sum)
      for (const [slot, value] of found) weights[slot]! += rate * (miss * value - DECAY * examples.length / 1000 * weights[slot]!)
      bias += rate * miss * 0.01
    }
  }
  const largest = weights.reduce((most, weight) => Math.max(most, Math.abs(weight)), 1e-9)
  const scale = largest / 127
  return { weights: Int8Array.from(weights, (weight) => Math.round(weight / scale)), bias: Math.round(bias / scale), scale: Math.round(scale * 1e6) / 1e6 }
}
