/** Server-sent events to parsed chunks. Knows the `data:` framing and `[DONE]`, not what a chunk means. */
import { createParser } from 'eventsource-parser'
import { ParallaxError } from '../errors.ts'
import type { Wire } from './expert.ts'

/** Fatal: a chunk with broken UTF-8 is a broken stream, never silently mended. */
const decoderOptions = { fatal: true } as const

/**
 * Parses a byte stream of server-sent events. Yields the chunks of each read together, so that the relay pays once a read.
 * Throws ParallaxError `expert_failed` for what is not a chunk, and what `onError` makes of an error frame.
 * A clean end without `[DONE]` returns: whether the answer was whole is for the reader of the chunks to say.
 */
export async function * parseFrames (bytes: AsyncIterable<Uint8Array>, limit: number, onError: (error: unknown) => Error): AsyncGenerator<Wire[], void> {
  const decoder = new TextDecoder('utf-8', decoderOptions)
  let batch: Wire[] = []
  let done = false
  let failure: Error | undefined
  const parser = createParser({
    maxBufferSize: limit,
    onEvent ({ data }) {
      if (done || failure) return
      if (data === '[DONE]') { done = true; return }
      try {
        const chunk = JSON.parse(data) as Wire
        if (typeof chunk !== 'object' || chunk === null || Array.isArray(chunk)) throw new TypeError('not an object')
        if (chunk['error'] !== undefined && chunk['error'] !== null) failure = onError(chunk['error'])
        else batch.push(chunk)
      } catch (cause) {
        failure = new ParallaxError('expert_failed', 'The expert sent something that is not a chunk of an answer.', { cause })
      }
    },
    onError (cause) {
      // unknown fields are to be ignored by the standard; only the bound is ours
      if (cause.type === 'max-buffer-size-exceeded') failure = new ParallaxError('expert_failed', `The expert sent a single event of more than ${limit} bytes.`)
    },
  })
  for await (const read of bytes) {
    let text: string
    try { text = decoder.decode(read, { stream: true }) } catch (cause) {
      throw new ParallaxError('expert_failed', 'The expert\'s stream is not valid UTF-8.', { cause })
    }
    parser.feed(text)
    if (batch.length > 0) { yield batch; batch = [] }
    if (failure) throw failure
    if (done) return
  }
}
