/** `--vkey`: the log's keys as a stranger gives them, looked at before anything is checked by them. */
import { parseVerifier } from '../audit/note.ts'
import { UsageError } from './commands.ts'

export function logKeys (given: readonly string[] | undefined): readonly string[] {
  for (const vkey of given ?? []) {
    try { parseVerifier(vkey) } catch (error) { throw new UsageError(`--vkey: ${(error as Error).message}`) }
  }
  return given ?? []
}
