/** Checkpoints in a file: each behind a line with the time, one after another. The file is only ever appended to. */
import { open } from 'node:fs/promises'
import { newest, type Target } from './target.ts'

const NEWLINE = 10

/** The file is made where it is missing (its folder is not), and opened for each entry: it may be rotated away, or lie on a disk that comes and goes. */
export const fileTarget = (path: string): Target => ({
  to: 'file',
  async publish (tree, now) {
    const file = await open(path, 'a+', 0o644).catch(tell)
    try {
      const { size: length } = await file.stat()
      const last = length === 0 ? NEWLINE : (await file.read(Buffer.alloc(1), 0, 1, length - 1)).buffer[0]
      const signed = newest(tree)
      // a death of the machine may have left half an entry: the next one begins on a line of its own all the same
      const entry = Buffer.from(`${last === NEWLINE ? '' : '\n'}${new Date(now).toISOString()}\n${signed.note}`)
      const { bytesWritten } = await file.write(entry)
      if (bytesWritten !== entry.length) {
        await file.truncate(length)
        throw new Error(`only ${bytesWritten} of ${entry.length} bytes could be written`)
      }
      await file.sync()
      return signed
    } catch (error) { return tell(error) } finally { await file.close() }
  },
})

/** The system's messages name the path, which not everybody who reads the log has to know. */
function tell (error: unknown): never {
  const { code, message } = error as NodeJS.ErrnoException
  throw new Error(`The file cannot be appended to: ${code ?? message}.`, { cause: error })
}
