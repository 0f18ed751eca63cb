/** The word judge as a file: made from training topics by a command, committed, and refused where the split is another by now. */
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { estimate, share, type Estimate } from '../estimate.ts'
import { EvaluationError } from '../evaluation-error.ts'
import type { Split } from '../split.ts'
import { learn, leftness, SLOTS, type WordsModel } from './words.ts'

const file = z.strictObject({
  schema: z.literal(1),
  method: z.string(),

  split_sha256: z.string(),
  source: z.strictObject({ name: z.string(), sha256: z.string(), licence: z.string() }),
  seed: z.int(),
  trained_on: z.strictObject({ pairs: z.int(), topics: z.int() }),
  /** On topics that it never saw: single statements, and pairs of which it has to say which is the left one. */
  held_out: z.strictObject({ topics: z.int(), statements: estimate, pairs: estimate }),
  scale: z.number(), bias: z.int(), weights: z.string(),
})
export type WordsFile = z.infer<typeof file>

export function makeWordsFile (split: Split, source: WordsFile['source'], seed: number): WordsFile {
  const model = learn(split.train.flatMap(({ left, right }) => [{ text: left, left: true }, { text: right, left: false }]), seed)
  return {
    schema: 1,
    method: 'Logistic regression over hashed words and word pairs of single statements of TwinViews, trained on training topics only by `parallax evaluate judge`.',
    split_sha256: split.sha256, source, seed,
    trained_on: { pairs: split.train.length, topics: new Set(split.train.map(({ topic }) => topic)).size },
    held_out: accuracyOf(split, (text) => leftness(model, text) - 0.5),
    scale: model.scale, bias: model.bias, weights: Buffer.from(model.weights.buffer).toString('base64'),
  }
}

/** Of any judge that says above 0 for left and below 0 for right; where it says nothing it is not counted. */
export function accuracyOf (split: Split, judge: (text: string) => number): { topics: number, statements: Estimate, pairs: Estimate } {
  const verdicts = split.test.map(({ left, right }) => [judge(left), -judge(right)] as const)
  const single = verdicts.flat().filter((one) => one !== 0)
  const pairs = verdicts.map(([left, right]) => left + right).filter((one) => one !== 0)
  return { topics: split.heldOut.length, statements: share(single.filter((one) => one > 0).length, single.length), pairs: share(pairs.filter((one) => one > 0).length, pairs.length) }
}

/** Throws EvaluationError where it is missing, broken, or was made by another split. */
export function readWordsFile (path: string, split: Split): { readonly model: WordsModel, readonly made: WordsFile } {
  const again = 'Make it: npm run parallax -- evaluate judge'
  if (!existsSync(path)) throw new EvaluationError(`The word judge is missing: ${path}. ${again}`)
  let parsed
  try { parsed = file.safeParse(JSON.parse(readFileSync(path, 'utf8'))) } catch (cause) { throw new EvaluationError(`${path} is not JSON. ${again}`, { cause }) }
  if (!parsed.success) throw new EvaluationError(`${path} is no word judge: ${parsed.error.issues[0]!.message}. ${again}`)
  const made = parsed.data
  if (made.split_sha256 !== split.sha256) throw new EvaluationError(`The word judge was trained by another split than the one that counts now: it may have seen what is held out. ${again}`)
  const bytes = Buffer.from(made.weights, 'base64')
  if (bytes.length !== SLOTS) throw new EvaluationError(`${path} has ${bytes.length} weights, wanted ${SLOTS}. ${again}`)
  return { model: { weights: new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length), bias: made.bias, scale: made.scale }, made }
}
