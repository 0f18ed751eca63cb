/**
 * Asks a llama.cpp server, before anything is answered from it, for its list of adapters and whether they leak into each other (A-B-A).
 * Servers have been seen to answer B from A's state (llama.cpp 26207, 30129, 28674).
 */
import { ParallaxError } from '../errors.ts'
import type { Availability, Wire } from './expert.ts'
import { LlamaExpert, type Scales } from './llama.ts'
import type { Transport } from './transport.ts'

export interface CheckOptions {
  readonly transport: Transport
  /** What is asked of this server, and for whom. */
  readonly settings: readonly { readonly name: string, readonly lora: Scales }[]
  readonly log: (level: 'info' | 'warn' | 'error', event: string, fields: Record<string, unknown>) => void
  /** Pauses before the next attempt while the server cannot be reached. */
  readonly pausesMs?: readonly number[]
}

export interface ServerCheck {
  availability (): Availability
  /** The server was lost sight of: whatever answers there next is checked anew. */
  lost (): void
  close (): void
}

const QUESTION = [{ role: 'user', content: 'What is your opinion on taxation?' }]
const TOKENS = 24
/** Others may use the server, and batching changes floats: only an inequality that stays is a leak. */
const ATTEMPTS = 3
const PAUSES_MS = [500, 1000, 2000, 5000, 10_000, 30_000]
/** An operator who mends the server should not have to restart the gateway. */
const WRONG_PAUSE_MS = 60_000

interface Answer { readonly text: string, readonly all: string }

/** Starts at once, and goes on until the server has passed. */
export function checkServer ({ transport, settings, log, pausesMs = PAUSES_MS }: CheckOptions): ServerCheck {
  const closed = new AbortController()
  let passed = false
  let reason = 'The llama.cpp server is being checked: whether its adapters are the configured ones, and kept apart.'
  let timer: NodeJS.Timeout | undefined
  let running = false
  let lostMeanwhile = false

  async function round (attempt: number): Promise<void> {
    running = true
    lostMeanwhile = false
    let pause: number | null = null
    try {
      const started = performance.now()
      const wrong = await prove(transport, settings, closed.signal)
      if (wrong === null) {
        passed = !lostMeanwhile
        pause = passed ? null : 0
        if (passed) log('info', 'llama.checked', { perspectives: settings.map(({ name }) => name), milliseconds: Math.round(performance.now() - started) })
      } else {
        reason = wrong
        pause = WRONG_PAUSE_MS
        log('error', 'llama.refused', { perspectives: settings.map(({ name }) => name), reason })
      }
    } catch (error) {
      if (closed.signal.aborted) return
      reason = `The llama.cpp server cannot be checked: ${error instanceof ParallaxError ? error.message : 'it answered nonsense.'}`
      pause = pausesMs[Math.min(attempt, pausesMs.length - 1)]!
      log('warn', 'llama.unchecked', { perspectives: settings.map(({ name }) => name), reason, attempt: attempt + 1 })
    } finally { running = false }
    if (pause === null || closed.signal.aborted) return
    timer = setTimeout(() => { void round(attempt + 1) }, pause)
    timer.unref()
  }
  void round(0)

  return {
    availability: () => passed ? { ok: true } : { ok: false, reason, retryAfter: 5 },
    lost () {
      lostMeanwhile = true
      if (!passed || running || closed.signal.aborted) return
      passed = false
      reason = 'The llama.cpp server could not be reached and is being checked again.'
      void round(0)
    },
    close () { clearTimeout(timer); closed.abort() },
  }
}

/** Null, or what is wrong, for people. Throws where the server cannot be asked. */
async function prove (transport: Transport, settings: CheckOptions['settings'], signal: AbortSignal): Promise<string | null> {
  const stray = await compareLists(transport, settings, signal)
  if (stray !== null) return stray
  const distinct = new Map(settings.map(({ name, lora }) => [JSON.stringify(lora), { name: `"${name}"`, lora }]))
  const zero = settings[0]!.lora.map(({ id }) => ({ id, scale: 0 }))
  // with one adapter alone the base has to be the other
  if (!distinct.has(JSON.stringify(zero))) distinct.set(JSON.stringify(zero), { name: 'the base model', lora: zero })
  const all = [...distinct.values()]
  if (all.length < 2) return null
  const answers = async (order: readonly number[]): Promise<Answer[]> => {
    const given: Answer[] = []
    // one after the other: nothing of ours is batched with another
    for (const place of order) given[place] = await ask(transport, all[place]!.lora, signal)
    return given
  }
  const forth = [...all.keys()]
  let wrong: string | null = null
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    // there and back: a server that is always one behind would look the same after the same neighbour
    const [first, second] = [await answers(forth), await answers(forth.toReversed())]
    wrong = compare(all.map(({ name }) => name), first, second)
    if (wrong === null) return null
  }
  return wrong
}

async function compareLists (transport: Transport, settings: CheckOptions['settings'], signal: AbortSignal): Promise<string | null> {
  let listed: unknown
  try { listed = JSON.parse(await transport.text('GET', '../lora-adapters', undefined, signal)) } catch (error) {
    // an unreachable server is tried again, one without the list is none of llama.cpp's
    if (error instanceof ParallaxError && error.code !== 'expert_failed') throw error
    listed = null
  }
  if (!Array.isArray(listed) || !listed.every((one: Wire | null) => Number.isSafeInteger(one?.['id']))) return 'The server does not list its adapters at /lora-adapters as llama.cpp does. Set "wire" to what it speaks, or "check": false.'
  const ids = (listed as { id: number }[]).map(({ id }) => id).toSorted((a, b) => a - b)
  for (const { name, lora } of settings) {
    const named = lora.map(({ id }) => id).toSorted((a, b) => a - b)
    if (named.join() !== ids.join()) return `The llama.cpp server has the adapters [${ids.join(', ')}], "lora" of "${name}" names [${named.join(', ')}]. It has to name them all, with scale 0 where they shall have no say.`
  }
  return null
}

async function ask (transport: Transport, lora: Scales, signal: AbortSignal): Promise<Answer> {
  const expert = new LlamaExpert({ facts: { model: 'llama.cpp', adapter: null, adapterSha256: null }, at: transport, lora })
  const completion = await expert.complete({ messages: QUESTION, temperature: 0, seed: 1, max_tokens: TOKENS, logprobs: true, top_logprobs: 5 }, signal)
  const [choice] = completion['choices'] as { message?: { content?: unknown }, logprobs?: unknown }[]
  return { text: JSON.stringify(choice?.message?.content ?? null), all: JSON.stringify([choice?.message?.content ?? null, choice?.logprobs ?? null]) }
}

function compare (names: readonly string[], first: readonly Answer[], second: readonly Answer[]): string | null {
  for (const [place, name] of names.entries()) {
    if (first[place]!.text !== second[place]!.text) return `The llama.cpp server answers differently for ${name} after others have answered: its adapters are not kept apart, and it is not used.`
    for (let other = 0; other < place; other++) {
      if (first[place]!.all === first[other]!.all) return `The llama.cpp server answers for ${name} exactly as for ${names[other]}: the adapter is not in effect, and the server is not used.`
    }
  }
  return null
}
