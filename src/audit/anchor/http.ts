/** One bounded HTTP request to an address of the configuration: no redirect is followed, and no more than a little of the answer is read. */

const ANSWER_BYTES = 16 * 1024

export interface Answer { readonly status: number, readonly type: string, readonly text: string }

/** Rejects with a sentence that holds no address. */
export async function send (method: 'PUT' | 'POST', url: string, body: string, signal: AbortSignal): Promise<Answer> {
  try {
    const reply = await fetch(url, { method, body, signal, redirect: 'manual', headers: { 'content-type': 'text/plain; charset=utf-8' } })
    return { status: reply.status, type: reply.headers.get('content-type') ?? '', text: await bounded(reply) }
  } catch (error) {
    if (signal.aborted) throw new Error('No answer came in time.', { cause: error })
    const cause = (error as Error).cause as NodeJS.ErrnoException | undefined
    throw new Error(`The request failed: ${cause?.code ?? (error as Error).name}.`, { cause: error })
  }
}

/** Its beginning: an answer that is longer is none of those that are waited for. Leaving the loop cancels the rest. */
async function bounded (reply: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of reply.body ?? []) {
    parts.push(part)
    bytes += part.length
    if (bytes > ANSWER_BYTES) break
  }
  return Buffer.concat(parts).toString('utf8', 0, ANSWER_BYTES)
}
