/** What a reader does: a file to records with their rows, in order, one at a time. Knows no format and no source. */
import type { SourceDeclaration } from '../declaration.ts'

/** `skip` says why a record is left out; it is counted and not looked at. */
export interface Row { readonly row: number, readonly record: Readonly<Record<string, unknown>>, readonly skip?: string }
export type Read = (file: string, source: SourceDeclaration) => AsyncIterable<Row>
/** A format by itself, whatever the source. */
export type ReadFormat = (file: string) => AsyncIterable<Row>
