/** Bytes that are added to at the end: one allocation for many additions, so that an answer in hundreds of parts leaves no garbage but itself. */
const LEAST = 4096

export class GrowingBytes {
  #room = Buffer.alloc(0)
  #length = 0

  /** Copies `bytes`. */
  add (bytes: Uint8Array): void {
    const length = this.#length + bytes.length
    if (length > this.#room.length) {
      // what was handed out before stays as it is: a new room is never written over an old one
      const room = Buffer.allocUnsafeSlow(Math.max(LEAST, length, this.#room.length * 2))
      room.set(this.#room.subarray(0, this.#length))
      this.#room = room
    }
    this.#room.set(bytes, this.#length)
    this.#length = length
  }

  /** What has been added so far; shares memory with this, and does not change when more is added. */
  bytes (): Buffer { return this.#room.subarray(0, this.#length) }
}
