/** Server-sent events to parsed chunks. Knows the `data:` framing and `[DONE]`, not what a chunk means. */
import { createParser, type EventSourceParser } from 'eventsource-parser'
import { ParallaxError } from '../errors.ts'
import type { Wire } from './expert.ts'

/** Fatal: a chunk with broken UTF-8 is a broken stream, never silently mended. */
const decoderOptions = { fatal: true } as const

/**
 * Is fed the bytes of a stream as they come. A clean end without `[DONE]` says nothing: whether the answer was whole is for the reader of the
 * chunks to say.
 */
export class FrameParser {
  /** `[DONE]` was read; what follows it is not looked at. */
  done = false
  /** ParallaxError `expert_failed` for what is not a chunk, and what `onError` made of an error frame. The chunks before it are good. */
  failure: Error | undefined
  readonly #decoder = new TextDecoder('utf-8', decoderOptions)
  readonly #parser: EventSourceParser
  #batch: Wire[] = []

  constructor (limit: number, onError: (error: unknown) => Error) {
    this.#parser = createParser({
      maxBufferSize: limit,
      onEvent: ({ data }) => {
        if (this.done || this.failure) return
        if (data === '[DONE]') { this.done = true; return }
        try {
          const chunk = JSON.parse(data) as Wire
          if (typeof chunk !== 'object' || chunk === null || Array.isArray(chunk)) throw new TypeError('not an object')
          if (chunk['error'] !== undefined && chunk['error'] !== null) this.failure = onError(chunk['error'])
          else this.#batch.push(chunk)
        } catch (cause) {
          this.failure = new ParallaxError('expert_failed', 'The expert sent something that is not a chunk of an answer.', { cause })
        }
      },
      onError: (cause) => {
        // unknown fields are to be ignored by the standard; only the bound is ours
        if (cause.type === 'max-buffer-size-exceeded') this.failure ??= new ParallaxError('expert_failed', `The expert sent a single event of more than ${limit} bytes.`)
      },
    })
  }

  /** The chunks of one read together, so that the relay pays once a read. */
  feed (read: Uint8Array): Wire[] {
    if (this.done || this.failure) return []
    try { this.#parser.feed(this.#decoder.decode(read, { stream: true })) } catch (cause) {
      this.failure ??= new ParallaxError('expert_failed', 'The expert\'s stream is not valid UTF-8.', { cause })
    }
    const batch = this.#batch
    if (batch.length > 0) this.#batch = []
    return batch
  }
}
