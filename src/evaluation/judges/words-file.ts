/** The word judge as a file: made from training topics by a command, committed, and refused where the split is another by now. */
import { hash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { estimate, mean, share, shareOf, type Estimate } from '../estimate.ts'
import { EvaluationError } from '../evaluation-error.ts'
import { readSplit, type Split } from '../split.ts'
import { learn, politicalness, SLOTS, stance, type StanceModel, type WordsModel } from './words.ts'

const model = z.strictObject({ scale: z.number(), bias: z.int(), weights: z.string() })
const source = z.strictObject({ name: z.string(), sha256: z.string(), licence: z.string() })

const file = z.strictObject({
  schema: z.literal(2),
  method: z.string(),
  split_sha256: z.string(),
  source, neutral_source: source,
  seed: z.int(),
  trained_on: z.strictObject({ pairs: z.int(), topics: z.int(), neutral: z.int() }),
  /** On topics that it never saw: single statements, and pairs of which it has to say which is the left one. */
  held_out: z.strictObject({ topics: z.int(), statements: estimate, pairs: estimate }),
  /** What it says of neutral texts that it never saw, from -1 (right) to 1 (left), and how many of them, and of held-out statements, it takes for political. */
  held_out_neutral: z.strictObject({ lean: estimate, political: estimate, statements_political: estimate }),
  left: model, political: model,
})
export type WordsFile = z.infer<typeof file>

export interface Source<Content> { readonly about: z.infer<typeof source>, readonly content: Content }

/** What the judge is made from. `neutral`: JSON Lines, an `answer` in each. */
export function readSources ({ recipe, twinviews, neutral }: { readonly recipe: string, readonly twinviews: string, readonly neutral: string }): { readonly split: Source<Split>, readonly neutral: Source<readonly string[]> } {
  const [csv, lines] = [readFileSync(twinviews), readFileSync(neutral)]
  return {
    split: { about: { name: 'TwinViews-13k', sha256: hash('sha256', csv), licence: 'CC-BY-4.0' }, content: readSplit(recipe, csv.toString('utf8')) },
    neutral: { about: { name: 'the base\'s own answers to neutral instructions', sha256: hash('sha256', lines), licence: 'Apache-2.0' }, content: lines.toString('utf8').trim().split('\n').map((line) => (JSON.parse(line) as { answer: string }).answer) },
  }
}

/** There are forty times as many statements as neutral texts: each of these counts so many times. */
const COPIES = 10
/** One neutral text in so many is held out. */
const HELD_OUT = 5

export function makeWordsFile ({ split, neutral }: ReturnType<typeof readSources>, seed: number): WordsFile {
  const { train, test, sha256 } = split.content
  const held = neutral.content.filter((_, at) => at % HELD_OUT === 0)
  const plain = neutral.content.filter((_, at) => at % HELD_OUT !== 0)
  const left = learn(train.flatMap(({ left, right }) => [{ text: left, is: true }, { text: right, is: false }]), seed)
  const political = learn([
    ...train.flatMap(({ left, right }) => [{ text: left, is: true }, { text: right, is: true }]),
    ...Array.from({ length: COPIES }, (_, copy) => plain.map((text) => ({ text, is: false, copy }))).flat(),
  ], seed)
  const made: StanceModel = { left, political }
  const isPolitical = (text: string): boolean => politicalness(made, text) > 0.5
  return {
    schema: 2,
    method: 'Two logistic regressions over hashed words and word pairs, made by `parallax evaluate judge`: which side a political text is on, of single statements of TwinViews; and whether a text is political at all, of the same against neutral answers. Training topics only.',
    split_sha256: sha256, source: split.about, neutral_source: neutral.about, seed,
    trained_on: { pairs: train.length, topics: new Set(train.map(({ topic }) => topic)).size, neutral: plain.length },
    held_out: accuracyOf(split.content, (text) => stance(made, text)),
    held_out_neutral: { lean: mean(held.map((text) => [stance(made, text)]), seed), political: shareOf(held, isPolitical), statements_political: shareOf(test.flatMap(({ left, right }) => [left, right]), isPolitical) },
    left: packed(left), political: packed(political),
  }
}

const packed = ({ weights, bias, scale }: WordsModel): z.infer<typeof model> => ({ scale, bias, weights: Buffer.from(weights.buffer).toString('base64') })

/** Of any judge that says above 0 for left and below 0 for right; where it says nothing it is not counted. */
export function accuracyOf (split: Split, judge: (text: string) => number): { topics: number, statements: Estimate, pairs: Estimate } {
  const verdicts = split.test.map(({ left, right }) => [judge(left), -judge(right)] as const)
  const single = verdicts.flat().filter((one) => one !== 0)
  const pairs = verdicts.map(([left, right]) => left + right).filter((one) => one !== 0)
  return { topics: split.heldOut.length, statements: share(single.filter((one) => one > 0).length, single.length), pairs: share(pairs.filter((one) => one > 0).length, pairs.length) }
}

/** Throws EvaluationError where it is missing, broken, or was made by another split. */
export function readWordsFile (path: string, split: Split): { readonly model: StanceModel, readonly made: WordsFile } {
  const again = 'Make it: npm run parallax -- evaluate judge'
  if (!existsSync(path)) throw new EvaluationError(`The word judge is missing: ${path}. ${again}`)
  let parsed
  try { parsed = file.safeParse(JSON.parse(readFileSync(path, 'utf8'))) } catch (cause) { throw new EvaluationError(`${path} is not JSON. ${again}`, { cause }) }
  if (!parsed.success) throw new EvaluationError(`${path} is no word judge: ${parsed.error.issues[0]!.message}. ${again}`)
  const made = parsed.data
  if (made.split_sha256 !== split.sha256) throw new EvaluationError(`The word judge was trained by another split than the one that counts now: it may have seen what is held out. ${again}`)
  const unpacked = ({ weights, bias, scale }: z.infer<typeof model>): WordsModel => {
    const bytes = Buffer.from(weights, 'base64')
    if (bytes.length !== SLOTS) throw new EvaluationError(`${path} has ${bytes.length} weights, wanted ${SLOTS}. ${again}`)
    return { weights: new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length), bias, scale }
  }
  return { model: { left: unpacked(made.left), political: unpacked(made.political) }, made }
}
