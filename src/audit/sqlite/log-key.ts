/** Changing the key that signs the SQLite log: files in its directory. */
import type { LogKeyChange } from '../open.ts'
import { adoptNextLogKey, logSigner, nextLogKey } from '../signing-key.ts'

export function sqliteLogKey ({ directory, origin }: { readonly directory: string, readonly origin?: string | undefined }): LogKeyChange {
  const present = logSigner(directory, origin)
  return { from: present.verifier, to: nextLogKey(directory, present).verifier, adopt: () => { adoptNextLogKey(directory, present) } }
}
