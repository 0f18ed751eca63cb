/** One request, one whole answer, by undici's own handler: the stream that `request()` makes of a body costs more than a short answer. */
import type { Dispatcher, Pool } from 'undici'

export interface WholeAnswer { readonly status: number, readonly retryAfter: string | string[] | undefined, readonly body: Buffer }

/** The answer is longer than the limit. */
export class TooLong extends Error { override readonly name = 'TooLong' }

/** The call broke after the answer had begun; its cause is undici's error. */
export class BrokenOff extends Error { override readonly name = 'BrokenOff' }

/** Rejects with undici's error, BrokenOff, TooLong, or the signal's reason. Aborting ends the call at once. */
export function wholeCall (pool: Pool, options: Dispatcher.DispatchOptions, limit: number, signal: AbortSignal): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let bytes = 0
    let status = 0
    let retryAfter: string | string[] | undefined
    let control: Dispatcher.DispatchController | undefined
    if (signal.aborted) { reject(signal.reason as Error); return }
    const leave = (): void => {
      // still waiting for a connection: there is nothing to end yet, and nobody waits for it any more
      if (control) control.abort(signal.reason as Error)
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', leave)
    pool.dispatch(options, {
      onRequestStart (controller) {
        control = controller
        if (signal.aborted) controller.abort(signal.reason as Error)
      },
      onResponseStart (_controller, code, headers) {
        status = code
        retryAfter = headers['retry-after']
      },
      onResponseData (controller, part) {
        bytes += part.length
        if (bytes > limit) controller.abort(new TooLong(`more than ${limit} bytes`))
        else parts.push(part)
      },
      onResponseEnd () {
        signal.removeEventListener('abort', leave)
        resolve({ status, retryAfter, body: parts.length === 1 ? parts[0]! : Buffer.concat(parts) })
      },
      onResponseError (_controller, error) {
        signal.removeEventListener('abort', leave)
        reject(status === 0 || error instanceof TooLong ? error : new BrokenOff('after the first byte', { cause: error }))
      },
    })
  })
}
