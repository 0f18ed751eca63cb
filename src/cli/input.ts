/** Files that a command is to read, with errors that say what to do. Knows nothing of what is in them. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { UsageError } from './commands.ts'

const WHY: Readonly<Record<string, string>> = { ENOENT: 'there is no such file', EACCES: 'this user may not read it', EISDIR: 'it is a directory' }

function explained<T> (what: string, path: string, work: () => T): T {
  try { return work() } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    throw new UsageError(`Cannot read ${what}, ${path}: ${WHY[code] ?? message}.`)
  }
}

/** `what` stands in the sentence, such as "the kept checkpoint". */
export const fileOf = (what: string, path: string): Buffer => explained(what, path, () => readFileSync(path === '-' ? 0 : path))

/** A key alone in a file. What else the file holds is not repeated: it may be a secret all the same. */
export function keyIn (what: string, path: string): string {
  const key = fileOf(what, path).toString('utf8').trim()
  if (!/^[\x21-\x7e]+$/.test(key)) throw new UsageError(`${path} holds no API key: wanted one alone, such as "parallax keys create" prints.`)
  return key
}

/** The path itself, where a file can be read there: for readers whose own error would not say what to do. */
export function readable (what: string, path: string): string {
  closeSync(descriptorOf(what, path))
  return path
}

/** Opened, so that one that is not there is told before anything is done. */
export const descriptorOf = (what: string, path: string): number => explained(what, path, () => {
  const file = openSync(path, 'r')
  // a directory opens, and only says so when it is read
  if (fstatSync(file).isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' })
  return file
})
