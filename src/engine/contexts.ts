/**
 * A context for each LoRA setting, all on one loaded model, with several sequences each so that requests batch.
 * Bounded: contexts by an LRU of idle ones, waiting requests by a queue.
 */
import type { LlamaContext, LlamaContextSequence, LlamaModel } from 'node-llama-cpp'
import { Refusal } from './wire.ts'

export interface ContextOptions {
  /** Paths in the order of their ids. */
  readonly adapters: readonly (string | null)[]
  readonly contextSize: number
  readonly sequences: number
  /** Of one context; several compute at once where the engine has more. */
  readonly contextThreads: number
  readonly queueLimit: number
}

export type Setting = readonly { readonly id: number, readonly scale: number }[]

interface Held { readonly context: Promise<LlamaContext>, busy: number, clearing: Promise<unknown> | undefined }
interface Waiting { readonly key: string, readonly setting: Setting, admit (held: Held): void }

/** A sequence that nobody else uses until it is released. */
export interface Lease {
  readonly sequence: LlamaContextSequence
  /**
   * To be awaited before each evaluation. The library clears a sequence only between batches that leave its queue empty: while another
   * answer goes on, that is never, and a place whose caller had left stayed taken until the others had ended (54 s were seen).
   */
  pause (): Promise<unknown> | undefined
  release (): Promise<void>
}

const CONTEXTS = 6
/**
 * Tokens evaluated in one call that nothing can interrupt: as quick as 512 on a CPU, a third of the memory (296 against 202 MB
 * a context of 4 x 2,048 tokens of SmolLM2-135M), and a caller who leaves, or another's next token, waits a third of a second at most.
 */
export const BATCH_TOKENS = 64
/** Scales finer than this would make a context each. */
const SCALE_STEP = 0.05
/** A guess at how long an answer takes, until one was timed. */
const FIRST_GUESS_SECONDS = 5

export class Contexts {
  readonly #model: LlamaModel
  readonly #options: ContextOptions
  /** In order of last use. */
  readonly #held = new Map<string, Held>()
  readonly #leaving = new Set<Promise<void>>()
  #waiting: Waiting[] = []
  /** Takes nobody new, so that it comes free for a setting that has no context yet; else that one could wait for ever. */
  #draining: Held | undefined
  #answerSeconds = FIRST_GUESS_SECONDS

  constructor (model: LlamaModel, options: ContextOptions) {
    this.#model = model
    this.#options = options
  }

  get load (): { active: number, waiting: number } {
    return { active: [...this.#held.values()].reduce((sum, held) => sum + held.busy, 0), waiting: this.#waiting.length }
  }

  /** Throws Refusal: 400 for an unknown adapter, 503 where too many wait. Aborting leaves the queue. */
  async acquire (setting: Setting, signal: AbortSignal): Promise<Lease> {
    signal.throwIfAborted()
    const wanted = setting.map(({ id, scale }) => ({ id, scale: Math.round(scale / SCALE_STEP) * SCALE_STEP })).filter(({ scale }) => scale > 0).toSorted((a, b) => a.id - b.id)
    const stray = setting.find(({ id }) => id >= this.#options.adapters.length)
    if (stray) throw new Refusal(400, 'invalid_request', `There is no adapter ${stray.id}; this engine has ${this.#options.adapters.length}.`, 'lora')
    if (wanted.some(({ id }) => this.#options.adapters[id] === null)) throw new Refusal(503, 'adapter_unavailable', 'This adapter cannot be used; the engine\'s state says why.', 'lora')
    const key = wanted.map(({ id, scale }) => `${id}:${scale.toFixed(2)}`).join(',')
    const free = this.#take(key, wanted)
    if (free) return this.#lease(free, signal)
    if (this.#waiting.length >= this.#options.queueLimit) throw new Refusal(503, 'engine_overloaded', `The engine has ${this.#waiting.length} requests waiting, which is as many as may. Try again later.`, null, { retry_after: this.#retryAfter() })
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting = this.#waiting.filter((one) => one !== place)
        reject(signal.reason)
        this.#next()
      }
      const place: Waiting = {
        key,
        setting: wanted,
        // from here on the lease itself minds the signal: one that came too late must give its place back
        admit: (held) => { signal.removeEventListener('abort', leave); this.#lease(held, signal).then(resolve, reject) },
      }
      this.#waiting.push(place)
      signal.addEventListener('abort', leave, { once: true })
      this.#next()
    })
  }

  async dispose (): Promise<void> {
    for (const { context } of this.#held.values()) await (await context).dispose()
    this.#held.clear()
    await Promise.all(this.#leaving)
  }

  /** Thrown out to make room; whoever disposes of everything waits for it, for the model must not go first. */
  #letGo ({ context }: Held): void {
    const gone = context.then((one) => one.dispose()).catch(() => {}).finally(() => { this.#leaving.delete(gone) })
    this.#leaving.add(gone)
  }

  #retryAfter (): number {
    return Math.min(60, Math.max(1, Math.ceil(this.#answerSeconds * (this.#waiting.length + 1) / this.#options.sequences)))
  }

  /** A context with room, made if need be; undefined where one would have to be thrown out that is in use. */
  #take (key: string, setting: Setting): Held | undefined {
    let held = this.#held.get(key)
    if (held && (held === this.#draining || held.busy >= this.#options.sequences)) return undefined
    if (!held) {
      if (this.#held.size >= CONTEXTS) {
        const idle = [...this.#held].find(([, one]) => one.busy === 0)
        if (!idle) return undefined
        this.#held.delete(idle[0])
        this.#letGo(idle[1])
      }
      held = { context: this.#create(setting), busy: 0, clearing: undefined }
      const made = held
      held.context.catch(() => { if (this.#held.get(key) === made) this.#held.delete(key) })
    }
    this.#held.delete(key)
    this.#held.set(key, held)
    held.busy++
    return held
  }

  async #lease (held: Held, signal: AbortSignal): Promise<Lease> {
    const started = performance.now()
    let sequence: LlamaContextSequence
    try {
      const context = await held.context
      signal.throwIfAborted()
      sequence = context.getSequence()
    } catch (error) {
      held.busy--
      this.#next()
      throw error
    }
    let released = false
    return {
      sequence,
      pause: () => held.clearing,
      release: async () => {
        if (released) return
        released = true
        // disposed, not kept: a sequence with history could answer the next request from it
        const cleared = sequence.dispose()
        const clearing = Promise.allSettled([held.clearing, cleared])
        held.clearing = clearing
        try { await cleared } finally {
          if (held.clearing === clearing) held.clearing = undefined
          held.busy--
          this.#answerSeconds = this.#answerSeconds * 0.8 + (performance.now() - started) / 1000 * 0.2
          this.#next()
        }
      },
    }
  }

  /** Admits whoever can be, first come first; the first who needs a context that cannot be made yet has the least used one drained. */
  #next (): void {
    this.#draining = undefined
    for (const place of this.#waiting) {
      const held = this.#take(place.key, place.setting)
      if (held) {
        this.#waiting = this.#waiting.filter((one) => one !== place)
        place.admit(held)
      } else if (!this.#held.has(place.key)) this.#draining ??= this.#held.values().next().value
    }
  }

  #create (setting: Setting): Promise<LlamaContext> {
    const { adapters, contextSize, sequences, contextThreads } = this.#options
    return this.#model.createContext({
      contextSize, sequences, batchSize: BATCH_TOKENS,
      threads: { ideal: contextThreads, min: contextThreads },
      ...(setting.length > 0 && { lora: { adapters: setting.map(({ id, scale }) => ({ filePath: adapters[id]!, scale })) } }),
    })
  }
}
