/** A JSON file held against a schema; each mistake is named with the file and the member. Knows nothing of what is in it. */
import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import { ReleaseError } from './release-error.ts'

export function readJson<T> (path: string, what: string, schema: z.ZodType<T>): { readonly value: T, readonly bytes: Buffer } {
  let bytes: Buffer
  let json: unknown
  try {
    bytes = readFileSync(path)
    json = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new ReleaseError(`${path} cannot be read as the JSON of a ${what}: ${(cause as Error).message}`, { cause })
  }
  const parsed = schema.safeParse(json)
  if (!parsed.success) throw new ReleaseError(`${path} is no ${what}: ${parsed.error.issues.slice(0, 8).map((issue) => `${issue.path.join('.') || 'file'}: ${issue.message}`).join('; ')}`)
  return { value: parsed.data, bytes }
}
