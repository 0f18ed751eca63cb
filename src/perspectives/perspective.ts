/** What a perspective declares of itself: the schema of `perspectives/<id>/perspective.json`. Knows nothing of who answers for it. */
import { z } from 'zod'

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)

/** Ids are tokens of RFC 9651, so that they can stand bare in the `Perspective` header, and model names for SDKs. */
const id = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'wanted a lower-case word of at most 40 letters, digits and hyphens')

/** Names that mean something else on the wire. */
export const RESERVED = ['parallax', 'both', 'all', 'both-summary', 'all-summary', 'blend', 'summary', 'policy', 'none'] as const

export const declaration = z.strictObject({
  id: id.refine((name) => !(RESERVED as readonly string[]).includes(name) && !name.startsWith('mix-'), 'this name is reserved'),
  alias: z.string().regex(/^[A-Z]$/, 'wanted one capital letter').nullable(),
  label: z.string().min(1).max(60),
  order: z.int().min(0),
  /** The direction it was tuned in, in one word, or null where nobody tuned it. */
  lean: z.string().min(1).max(40).nullable(),
  version: z.string().regex(/^[0-9A-Za-z.-]{1,40}$/),
  summary: z.string().min(1),
  /** Shown with every answer. Says what was done, not what was not measured. */
  notice: z.string().regex(/^[\x20-\x7e]{1,300}$/, 'wanted at most 300 printable ASCII characters, for it travels in a header'),
  base: z.strictObject({ model: z.string(), file: z.string(), sha256, licence: z.string() }),
  adapter: z.strictObject({ name: z.string(), file: z.string().regex(/^[\w.-]+$/), sha256, bytes: z.int().positive() }).nullable(),
  /** Measured slant with its 95 % interval; null until an evaluation ran. */
  slant: z.strictObject({ index: z.number(), low: z.number(), high: z.number(), n: z.int().positive(), report: z.string() }).nullable(),
  dimensions: z.array(z.strictObject({ id: z.string(), position: z.string(), reason: z.string() })),
  sources: z.array(z.looseObject({ name: z.string(), licence: z.string() })),
  never: z.array(z.string()),
  maintainer: z.string(),
})

export type Declaration = z.infer<typeof declaration>

/** A declaration and the folder it was read from. */
export interface Perspective extends Declaration {
  readonly folder: string
  /** SHA-256 of the declaration's bytes. */
  readonly sha256: string
}
