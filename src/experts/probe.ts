/** Asks an endpoint at intervals whether it is well. Knows an address and a status, not what is served there. */
import type { Endpoint } from './endpoint.ts'
import type { Transport } from './transport.ts'

export interface ProbeOptions {
  /** Beside the wire's base, e.g. `/health` of a server whose base is `/v1`. */
  readonly path: string
  readonly intervalMs: number
  readonly timeoutMs: number
}

/** One lost probe is no illness. */
const FAILURES = 2

/** Probes until the returned function is called. `onChange` is told when the endpoint falls ill or recovers. */
export function probe (endpoint: Endpoint, transport: Transport, { path, intervalMs, timeoutMs }: ProbeOptions, onChange: (unhealthy: string | null) => void): () => void {
  let failures = 0
  let ill = false
  let timer: NodeJS.Timeout | undefined
  const closed = new AbortController()

  async function round (): Promise<void> {
    try {
      await transport.text('GET', `..${path}`, undefined, AbortSignal.any([closed.signal, AbortSignal.timeout(timeoutMs)]))
      failures = 0
      endpoint.probed(null)
      if (ill) onChange(null)
      ill = false
    } catch {
      failures++
      if (failures >= FAILURES) {
        const why = `did not answer its last ${failures} health checks.`
        endpoint.probed(why)
        if (!ill) onChange(why)
        ill = true
      }
    }
    if (!closed.signal.aborted) again()
  }
  function again (): void {
    timer = setTimeout(() => { void round() }, intervalMs)
    timer.unref()
  }
  again()
  return () => { clearTimeout(timer); closed.abort() }
}
