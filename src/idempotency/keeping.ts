/**
 * Keeps an answer while it is sent: a JSON text before it leaves, a stream as it passes, its last frame held back until all of it is kept. What breaks,
 * ends early or is left by its reader releases the claim. Knows nothing of what the frames say but how a whole stream ends.
 */
import { pipeline, Transform, type Readable, type TransformCallback } from 'node:stream'
import { REPLY_BYTES, type KeptReply, type NewClaim } from './idempotency.ts'

export type Reply = { readonly kind: 'json', readonly text: string } | { readonly kind: 'stream', readonly stream: Readable }

/** Only a stream that did not break ends with it. */
const DONE = Buffer.from('data: [DONE]\n\n')

/**
 * The answer of `answer`, which is kept as `facts` says once it is whole; where `facts` gives null then, it is not to be kept. What `answer` throws is
 * thrown on.
 */
export async function keeping (claim: NewClaim, answer: () => Promise<Reply>, facts: () => Pick<KeptReply, 'record' | 'about'> | null): Promise<Reply> {
  const end = async (kind: KeptReply['kind'], body: string): Promise<void> => {
    const known = facts()
    if (known) await claim.keep({ kind, body, ...known })
    else await claim.release()
  }
  try {
    const reply = await answer()
    if (reply.kind === 'stream') return { kind: 'stream', stream: copied(reply.stream, claim, (body) => end('stream', body)) }
    await end('json', reply.text)
    return reply
  } catch (error) {
    await claim.release()
    throw error
  }
}

function copied (stream: Readable, claim: NewClaim, keep: (body: string) => Promise<void>): Readable {
  const frames: Buffer[] = []
  let bytes = 0
  const copy = new Transform({
    // what waits here is the reader's, who is timed by how it empties the stream before
    highWaterMark: 0,
    transform (frame: Buffer, _encoding, done) {
      bytes += frame.length
      // one that is too large to be kept is not gathered either
      if (bytes > REPLY_BYTES) frames.length = 0
      else frames.push(frame)
      if (frames.length === 0 || !frame.subarray(-DONE.length).equals(DONE)) done(null, frame)
      else void keptFirst(frame, done)
    },
  })
  async function keptFirst (last: Buffer, done: TransformCallback): Promise<void> {
    try {
      await keep(Buffer.concat(frames).toString())
      done(null, last)
    } catch (error) { done(error as Error) }
  }

  // nothing to say to the reader: what breaks the stream before is told in its frames
  pipeline(stream, copy, () => { void claim.release() })
  return copy
}
