/**
 * Publishes the log's newest checkpoint outside of the gateway, on a schedule: whoever then shows another history, or a shorter one, is
 * contradicted by what is kept elsewhere. Knows its targets only by their promise; a target that fails delays nobody but itself.
 */
import type { LogTree } from './log.ts'
import { Disputed, newest, type Published, type Target } from './anchor/target.ts'

/** How often is looked whether something is due, in milliseconds. */
const TICK_MS = 1000
/** What one attempt may take. */
const ATTEMPT_MS = 10_000
/** What the last attempts may hold up the end of the gateway. */
const CLOSE_MS = 2000
/** A target that failed is tried again after so long, then after twice that, and so on; never later than it would be due anyway. */
const RETRY_MS = 1000
const RETRY_LIMIT_MS = 300_000

export interface Schedule { readonly target: Target, readonly everySeconds: number }

export interface AnchorState {
  readonly to: Target['to']
  /** A witness's. */
  readonly name: string | null
  readonly everySeconds: number
  /** Leaves under the checkpoint that was published last, and when (milliseconds since the epoch); null: none was since the start. */
  readonly size: number | null
  readonly at: number | null
  /** Why the last attempt failed, for the operator; null where it did not. */
  readonly failed: string | null
}

export interface AnchorOptions {
  readonly tree: LogTree
  readonly schedules: readonly Schedule[]
  readonly log: (level: 'info' | 'warn' | 'error', event: string, fields: Record<string, unknown>) => void
  readonly closeMs?: number
}

/** A target and what became of it so far. */
interface Post {
  readonly target: Target
  readonly everyMs: number
  due: number
  failures: number
  size: number | null
  at: number | null
  failed: string | null
  running: Promise<void> | null
}

export class Anchors {
  readonly #options: AnchorOptions
  readonly #posts: readonly Post[]
  readonly #closing = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #witnessed: { readonly checkpoint: Published, readonly lines: Map<Target, string> } | null = null

  constructor (options: AnchorOptions) {
    this.#options = options
    this.#posts = options.schedules.map(({ target, everySeconds }) => ({ target, everyMs: everySeconds * 1000, due: 0, failures: 0, size: null, at: null, failed: null, running: null }))
  }

  /** The first checkpoint is published at once: it covers the start, and shows what does not work. */
  start (): this {
    if (this.#posts.length === 0) return this
    const tick = (): void => { void this.publishDue(Date.now()) }
    this.#timer = setInterval(tick, TICK_MS).unref()
    tick()
    return this
  }

  /** Publishes to each target that is due at `now` (milliseconds since the epoch) and not busy. Never rejects. */
  async publishDue (now: number): Promise<void> {
    await Promise.all(this.#posts.filter((post) => post.running === null && now >= post.due).map((post) => this.#run(post, now)))
  }

  /** In the order of the configuration. */
  state (): AnchorState[] {
    return this.#posts.map(({ target: { to, name = null }, everyMs, size, at, failed }) => ({ to, name, everySeconds: everyMs / 1000, size, at, failed }))
  }

  /** The newest checkpoint that a witness signed since the start, with the lines of all that did; null: none was. */
  witnessed (): string | null {
    return this.#witnessed && this.#witnessed.checkpoint.note + [...this.#witnessed.lines.values()].join('')
  }

  /** Publishes what is new, but for at most two seconds, then breaks off. Never rejects. The tree has to outlive it. */
  async close (): Promise<void> {
    clearInterval(this.#timer)
    const last = this.#posts.map(async (post) => {
      await post.running
      if (!this.#closing.signal.aborted) await this.#run(post, Date.now())
    })
    const late = Promise.withResolvers<void>()
    const limit = setTimeout(late.resolve, this.#options.closeMs ?? CLOSE_MS)
    await Promise.race([Promise.all(last), late.promise])
    clearTimeout(limit)
    this.#closing.abort()
  }

  #run (post: Post, now: number): Promise<void> {
    return post.running = this.#publish(post, now).finally(() => { post.running = null })
  }

  async #publish (post: Post, now: number): Promise<void> {
    const { tree, log } = this.#options
    const { target } = post
    const about = { target: this.#posts.indexOf(post), to: target.to, ...(target.name !== undefined && { name: target.name }) }
    post.due = now + post.everyMs
    try {
      if (newest(tree).size === post.size) return
      const published = await target.publish(tree, now, AbortSignal.any([this.#closing.signal, AbortSignal.timeout(ATTEMPT_MS)]))
      if (published.cosignature !== undefined) this.#keep(target, published, published.cosignature)
      Object.assign(post, { size: published.size, at: now, failures: 0, failed: null })
      log('info', 'anchor.published', { ...about, size: published.size })
    } catch (error) {
      post.failed = (error as Error).message
      post.due = now + Math.min(RETRY_MS * 2 ** post.failures++, RETRY_LIMIT_MS, post.everyMs)
      log(error instanceof Disputed ? 'error' : 'warn', 'anchor.failed', { ...about, reason: post.failed, failures: post.failures })
    }
  }

  #keep (target: Target, checkpoint: Published, line: string): void {
    if (this.#witnessed === null || checkpoint.size > this.#witnessed.checkpoint.size) this.#witnessed = { checkpoint, lines: new Map() }
    if (checkpoint.size === this.#witnessed.checkpoint.size) this.#witnessed.lines.set(target, line)
  }
}
