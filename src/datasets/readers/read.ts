/** What a reader does: a file to records with their rows, in order, one at a time. Knows no format and no source. */
export interface Row { readonly row: number, readonly record: Readonly<Record<string, unknown>> }
export type Read = (file: string) => AsyncIterable<Row>
