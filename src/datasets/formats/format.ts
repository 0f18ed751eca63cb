/** What a training format is: how a row looks for one side. Knows none of them. */
import type { End, Example } from '../rows.ts'

export interface Format {
  /** Supervised: the prompt and the side's own answer. */
  sft (row: Example, end: End): unknown
  /** Preference: the same prompt, the side's own answer chosen, the other side's rejected. */
  dpo (row: Example, end: End): unknown
  /** What a trainer wants beside the rows, by file name. `files` are the row files, by side, kind and split. */
  readonly beside?: (files: readonly RowFile[]) => Readonly<Record<string, string>>
}

export interface RowFile { readonly path: string, readonly side: string, readonly kind: 'sft' | 'dpo', readonly split: string }
