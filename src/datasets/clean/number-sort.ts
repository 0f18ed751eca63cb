/** Sorts pairs of 32-bit numbers that do not fit in memory: runs on disk, then one merge. Holds one run and a buffer for each of the others. */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'

const RUN = 1 << 19
const BUFFER = 1 << 11

class Run {
  readonly #handle: number
  readonly #buffer = new Uint32Array(BUFFER * 2)
  #length = 0
  #at = 0
  hi = 0
  lo = 0

  constructor (file: string) { this.#handle = openSync(file, 'r') }

  next (): boolean {
    if (this.#at >= this.#length) {
      this.#length = readSync(this.#handle, this.#buffer) >> 2
      this.#at = 0
      if (this.#length === 0) return false
    }
    this.lo = this.#buffer[this.#at++]!
    this.hi = this.#buffer[this.#at++]!
    return true
  }

  close (): void { closeSync(this.#handle) }
}

/** By `hi`, then by `lo`. */
export class NumberSort {
  readonly #name: string
  readonly #pairs = new Uint32Array(RUN * 2)
  #filled = 0
  #runs = 0

  /** `name` is a path: runs lie beside it. */
  constructor (name: string) { this.#name = name }

  add (hi: number, lo: number): void {
    // a 64-bit integer of a little-endian machine has its upper half second
    this.#pairs[this.#filled++] = lo
    this.#pairs[this.#filled++] = hi
    if (this.#filled === this.#pairs.length) this.#flush()
  }

  #flush (): void {
    const part = this.#pairs.subarray(0, this.#filled)
    new BigUint64Array(part.buffer, 0, this.#filled >> 1).sort()
    const handle = openSync(`${this.#name}.${this.#runs++}`, 'w')
    const bytes = new Uint8Array(part.buffer, 0, part.byteLength)
    for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at)
    closeSync(handle)
    this.#filled = 0
  }

  * sorted (): Generator<{ readonly hi: number, readonly lo: number }> {
    this.#flush()
    const files = Array.from({ length: this.#runs }, (_, run) => `${this.#name}.${run}`)
    const heap: Run[] = []
    const before = (a: Run, b: Run): boolean => a.hi < b.hi || (a.hi === b.hi && a.lo < b.lo)
    const down = (from: number): void => {
      for (let i = from, child = 2 * i + 1; child < heap.length; i = child, child = 2 * i + 1) {
        if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
        if (!before(heap[child]!, heap[i]!)) return
        ;[heap[i], heap[child]] = [heap[child]!, heap[i]!]
      }
    }
    const open = files.map((file) => new Run(file))
    try {
      heap.push(...open.filter((run) => run.next()))
      for (let i = heap.length >> 1; i >= 0; i--) down(i)
      while (heap.length > 0) {
        const top = heap[0]!
        yield { hi: top.hi, lo: top.lo }
        if (!top.next()) {
          const last = heap.pop()!
          if (heap.length === 0) break
          heap[0] = last
        }
        down(0)
      }
    } finally {
      for (const run of open) run.close()
      for (const file of files) rmSync(file, { force: true })
    }
  }
}
