/** One keep-alive HTTP/1.1 connection that sends bytes made beforehand and reads as little of the answer as tells when it is whole. Not a client for anything else. */
import { connect, type Socket } from 'node:net'

export interface Answer {
  readonly ok: boolean
  /** The status line, or what went wrong. */
  readonly status: string
  readonly sentAt: number
  /** When the first event of a stream was there, or the first byte of the body. Milliseconds, as performance.now() counts. */
  readonly firstAt: number
  readonly doneAt: number
  /** `data:` events of a stream, [DONE] included. */
  readonly events: number
  readonly bytes: number
}

const HEAD_END = '\r\n\r\n'
const EVENT = Buffer.from('data: ')
const LAST_CHUNK = '0\r\n\r\n'

export class Connection {
  #socket: Socket
  #head = ''
  #inBody = false
  /** Bytes of the body still to come; null while the body is chunked. */
  #left: number | null = 0
  #tail = ''
  #ok = false
  #status = ''
  #sentAt = 0
  #firstAt = 0
  #events = 0
  #bytes = 0
  #waiting: ((answer: Answer) => void) | undefined
  closed = false

  constructor (port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.#socket.on('data', (part: Buffer) => { this.#read(part) })
    this.#socket.on('error', (error: NodeJS.ErrnoException) => { this.#status = error.code ?? error.message })
    this.#socket.on('close', () => {
      this.closed = true
      this.#finish(false, this.#status === '' || this.#inBody ? 'connection closed in the middle of an answer' : this.#status)
    })
  }

  /** One request at a time: `bytes` must stay as they are until `answered` was called. */
  send (bytes: Buffer, answered: (answer: Answer) => void): void {
    this.#waiting = answered
    this.#head = this.#tail = this.#status = ''
    this.#inBody = this.#ok = false
    this.#firstAt = this.#events = this.#bytes = 0
    this.#sentAt = performance.now()
    this.#socket.write(bytes)
  }

  close (): void { this.#socket.destroy() }

  #read (part: Buffer): void {
    if (this.#inBody) { this.#body(part); return }
    const from = this.#head.length
    this.#head += part.toString('latin1')
    const end = this.#head.indexOf(HEAD_END)
    if (end < 0) return
    this.#status = this.#head.slice(0, this.#head.indexOf('\r\n'))
    this.#ok = this.#status.startsWith('HTTP/1.1 200')
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head)
    this.#left = length ? Number(length[1]) : null
    this.#inBody = true
    this.#body(part.subarray(end + HEAD_END.length - from))
  }

  #body (part: Buffer): void {
    this.#bytes += part.length
    if (this.#left !== null) {
      if (this.#firstAt === 0) this.#firstAt = performance.now()
      this.#left -= part.length
      if (this.#left <= 0) this.#finish(this.#ok, this.#status)
      return
    }
    // events are written whole, so none is split between reads but by chance; [DONE] would then be missed and show as an error
    for (let at = part.indexOf(EVENT); at >= 0; at = part.indexOf(EVENT, at + EVENT.length)) this.#events++
    if (this.#events > 0 && this.#firstAt === 0) this.#firstAt = performance.now()
    this.#tail = (this.#tail + part.toString('latin1', Math.max(0, part.length - 40))).slice(-40)
    if (this.#tail.endsWith(LAST_CHUNK)) this.#finish(this.#ok && (this.#events === 0 || this.#tail.includes('[DONE]')), this.#ok ? 'a stream without [DONE]' : this.#status)
  }

  #finish (ok: boolean, status: string): void {
    const answered = this.#waiting
    this.#waiting = undefined
    answered?.({ ok, status, sentAt: this.#sentAt, firstAt: this.#firstAt, doneAt: performance.now(), events: this.#events, bytes: this.#bytes })
  }
}
