/** Answers kept on disk as they come, so that an evaluation that was broken off goes on where it was. One JSON object a line; a line cut in half counts as none. */
import { hash } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

export class Kept {
  readonly #file: number
  readonly #found = new Map<string, unknown>()

  constructor (path: string) {
    mkdirSync(dirname(path), { recursive: true })
    if (existsSync(path)) {
      const bytes = readFileSync(path)
      // what follows the last whole line was being written when the process ended
      const whole = bytes.lastIndexOf(10) + 1
      if (whole < bytes.length) truncateSync(path, whole)
      for (const line of bytes.subarray(0, whole).toString('utf8').split('\n')) {
        if (line === '') continue
        try {
          const { key, value } = JSON.parse(line) as { key: string, value: unknown }
          this.#found.set(key, value)
        } catch { /* damaged: asked again */ }
      }
    }
    this.#file = openSync(path, 'a', 0o600)
  }

  get size (): number { return this.#found.size }

  /** By everything that the answer depends on. */
  static key (parts: unknown): string { return hash('sha256', JSON.stringify(parts)).slice(0, 32) }

  get<T> (key: string): T | undefined { return this.#found.get(key) as T | undefined }

  set (key: string, value: unknown): void {
    this.#found.set(key, value)
    writeSync(this.#file, `${JSON.stringify({ key, value })}\n`)
  }

  close (): void { closeSync(this.#file) }
}
