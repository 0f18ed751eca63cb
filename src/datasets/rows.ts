/** What goes from stage to stage, one JSON object a line. Only shapes; knows nothing of files. */

/** The two ends of the data. Which perspective learns from which is written in the recipe, never in code. */
export type End = 'left' | 'right'
export const ENDS: readonly End[] = ['left', 'right']
export const other = (end: End): End => end === 'left' ? 'right' : 'left'

/** What a source gives: a pair on one topic, or a text of one end that still has to find its counterpart. */
export interface Collected { readonly id: string, readonly source: string, readonly topic: string, readonly left?: string, readonly right?: string }

/** One topic, what either end says about it. */
export interface Pair { readonly id: string, readonly source: string, readonly topic: string, readonly cluster: string, readonly left: string, readonly right: string }

/**
 * With what the stance judges, which never saw it, make of it: how sure they are that left is left and right is right
 * (0.5: no idea), and whether the texts speak of their topic at all.
 */
export interface AnnotatedPair extends Pair { readonly confidence: number, readonly on_topic: boolean }

export type SplitName = 'train' | 'validation' | 'test'
export const SPLITS: readonly SplitName[] = ['train', 'validation', 'test']
export interface SplitPair extends AnnotatedPair { readonly split: SplitName }

export interface Turn { readonly role: 'user' | 'assistant', readonly content: string }

/**
 * One prompt and two stance-tagged answers. Both training sets follow from it by exchanging chosen and rejected.
 * `parent` is the row this one was derived from, `from` the pairs whose statements the answers are made of.
 */
export interface Example {
  readonly id: string
  readonly kind: string
  readonly split: SplitName
  readonly cluster: string
  readonly topic: string
  readonly parent: string | null
  readonly from: readonly string[]
  readonly prompt: readonly Turn[]
  readonly left: string
  readonly right: string
}
