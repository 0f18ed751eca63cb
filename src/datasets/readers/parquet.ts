/** Parquet, a row group at a time. What the package does not unpack, Node does. */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, type Compressors } from 'hyparquet'
import { DatasetError } from '../dataset-error.ts'
import type { ReadFormat } from './read.ts'

const compressors: Compressors = { GZIP: (bytes) => gunzipSync(bytes), ZSTD: (bytes) => zstdDecompressSync(bytes), BROTLI: (bytes) => brotliDecompressSync(bytes) }
/** A group is unpacked whole; one larger than this would not fit beside the rest. */
const LARGEST_GROUP = 512 * 1024 * 1024

export const readParquet: ReadFormat = async function * (path) {
  const broken = (cause: unknown): DatasetError => new DatasetError(`${path} cannot be read as Parquet: ${(cause as Error).message}. Fetch it again, or write it anew (uncompressed, Snappy, gzip, Brotli or Zstandard).`, { cause })
  const file = await asyncBufferFromFile(path)
  let metadata
  try { metadata = await parquetMetadataAsync(file) } catch (cause) { throw broken(cause) }
  let row = 0
  for (const { num_rows: size, total_byte_size: bytes } of metadata.row_groups) {
    if (Number(bytes) > LARGEST_GROUP) throw new DatasetError(`${path}: a row group of ${Math.round(Number(bytes) / 1e6)} MB is too large to be read at once. Write the file anew with smaller row groups.`)
    let rows: Record<string, unknown>[]
    try { rows = await parquetReadObjects({ file, metadata, rowStart: row, rowEnd: row + Number(size), compressors }) } catch (cause) { throw broken(cause) }
    for (const record of rows) yield { row: ++row, record }
  }
}
