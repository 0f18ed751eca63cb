/**
 * Exchanges the adapter of an expert behind vLLM while it answers: load, check, switch, drain, unload. An adapter's name means the same weights
 * for ever, so that a request under way is answered by what was disclosed. Knows vLLM's admin calls (VLLM_ALLOW_RUNTIME_LORA_UPDATING), nothing of records.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ParallaxError } from '../errors.ts'
import type { ExpertFacts, Wire } from './expert.ts'
import { OpenAIExpert } from './openai.ts'
import type { PoolExpert } from './pool.ts'
import type { Transport } from './transport.ts'

export interface Adapter {
  readonly name: string
  /** On vLLM's own disk. */
  readonly path: string
  readonly sha256: string
}

export interface Steps {
  /** On record before anything is answered by it. Rejecting leaves the old one serving. */
  record (facts: ExpertFacts): Promise<void>
  /** From here on new requests meet the new expert. */
  place (next: PoolExpert): void
}

/** Loading weights from a slow disk. */
const LOAD_MS = 300_000
const DRAIN_POLL_MS = 50

/**
 * Resolves when new requests meet the new adapter, which then answers on every endpoint. Throws `adapter_not_switched`, or what `record` threw,
 * after unloading what it had loaded; until then and then too the old one serves.
 */
export async function switchAdapter (current: PoolExpert, next: Adapter, steps: Steps): Promise<PoolExpert> {
  const facts: ExpertFacts = { model: current.facts.model, adapter: next.name, adapterSha256: next.sha256 }
  const loaded: Transport[] = []
  try {
    for (const { transport, name } of placesOf(current)) {
      if (await load(transport, name, next)) loaded.push(transport)
      await answers(transport, name, facts)
    }
    await steps.record(facts)
  } catch (error) {
    // a name that nobody is served by: whether it goes does not change what is answered
    await Promise.allSettled(loaded.map((transport) => unload(transport, next.name)))
    throw error
  }
  const made = current.with(facts, (expert) => new OpenAIExpert({ facts, at: (expert as OpenAIExpert).transport, servedAs: next.name }))
  steps.place(made)
  return made
}

/** Loads an adapter wherever vLLM has lost it, as it does when it is started again. */
export async function ensureLoaded (current: PoolExpert, adapter: Adapter): Promise<void> {
  for (const { transport, name } of placesOf(current)) {
    await load(transport, name, adapter)
    await answers(transport, name, current.facts)
  }
}

/**
 * Waits until nothing runs on the old expert any more, or `drainMs` are over, and unloads its adapter everywhere. `graceMs`: a request that has
 * chosen its expert and not yet called it. Resolves to the endpoints where vLLM would not unload it, with its words.
 */
export async function drain (old: PoolExpert, { drainMs, graceMs, signal }: { readonly drainMs: number, readonly graceMs: number, readonly signal: AbortSignal }): Promise<{ readonly drained: boolean, readonly left: readonly string[] }> {
  const end = Date.now() + drainMs
  await sleep(Math.min(graceMs, drainMs), undefined, { signal })
  while (old.running > 0 && Date.now() < end) await sleep(DRAIN_POLL_MS, undefined, { signal })
  const drained = old.running === 0
  const left: string[] = []
  for (const { transport, name } of placesOf(old)) {
    await unload(transport, old.facts.adapter!).catch((error: unknown) => { left.push(`"${name}": ${(error as Error).message}`) })
  }
  return { drained, left }
}

const placesOf = (pool: PoolExpert): { transport: Transport, name: string }[] => pool.members.map(({ endpoint, expert }) => ({ transport: (expert as OpenAIExpert).transport, name: endpoint.name }))

const within = (): AbortSignal => AbortSignal.timeout(LOAD_MS)

/** False where it was there already, from the same path: another replica of ours may have loaded it. */
async function load (transport: Transport, endpoint: string, { name, path }: Adapter): Promise<boolean> {
  try {
    const { data } = JSON.parse(await transport.text('GET', '/models', undefined, within())) as { data: Wire[] }
    const there = data.find((one) => one['id'] === name)
    if (there) {
      if (there['root'] === path) return false
      throw new Error('it has this name already, for other weights. Names are immutable: choose a new one.')
    }
    await transport.text('POST', '/load_lora_adapter', { lora_name: name, lora_path: path }, within())
    return true
  } catch (error) { throw failed(endpoint, name, error) }
}

/** An adapter that is listed may still not answer, and vLLM without the name may answer from its base. */
async function answers (transport: Transport, endpoint: string, facts: ExpertFacts): Promise<void> {
  const name = facts.adapter!
  try {
    const completion = await new OpenAIExpert({ facts, at: transport, servedAs: name }).complete({ messages: [{ role: 'user', content: 'Say a word.' }], max_tokens: 4, temperature: 0 }, within())
    if (completion['model'] !== name) throw new Error(`asked for it, it answers as ${JSON.stringify(completion['model'])}.`)
  } catch (error) { throw failed(endpoint, name, error) }
}

const unload = (transport: Transport, name: string): Promise<string> => transport.text('POST', '/unload_lora_adapter', { lora_name: name }, within())

function failed (endpoint: string, name: string, cause: unknown): ParallaxError {
  return new ParallaxError('adapter_not_switched', `The adapter "${name}" cannot be served by the endpoint "${endpoint}": ${(cause as Error).message} The adapter that was serving goes on.`, { cause })
}
