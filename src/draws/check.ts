/**
 * An auditor's check of the draws: every one of them computed again from the leaves of an export, once its epoch's secret is revealed.
 * Pure; that the leaves themselves are the log's is for `verify` to say.
 */
import { hash } from 'node:crypto'
import { drawValue, pick } from '../router/draw.ts'

export interface DrawReport {
  /** Draws computed again and found as recorded. */
  readonly held: number
  /** Draws of epochs whose secrets are not revealed yet, or not in this export. */
  readonly open: number
  /** The same by epoch. `until`: its end in milliseconds, after which the secret comes; null where the export does not tell. */
  readonly waiting: readonly { readonly epoch: number, readonly draws: number, readonly until: number | null }[]
  readonly wrong: readonly string[]
  readonly epochs: { readonly begun: number, readonly revealed: number }
  /** How often each perspective was drawn, by the weights that it was drawn with (canonical JSON). */
  readonly counts: ReadonlyMap<string, ReadonlyMap<string, number>>
}

interface Leaf { readonly type?: string, readonly id?: string, readonly [member: string]: unknown }
interface Recorded { readonly epoch: number, readonly sticky: string | null, readonly request?: string | null, readonly seed: number | null, readonly value: number, readonly chosen: string }
interface Waiting { readonly record: string, readonly tenant: string, readonly request: string, readonly draw: Recorded, readonly weights: Record<string, number>, readonly id: string }

const WRONG_TOLD = 100

/** Takes leaves in the order of the log. */
export class DrawCheck {
  readonly #committed = new Map<number, { readonly sha256: string, readonly until: number | null }>()
  readonly #secrets = new Map<number, Uint8Array>()
  /** Kept until their epoch's secret comes: one epoch's worth, for a log that is read to its end. */
  readonly #waiting = new Map<number, Waiting[]>()
  readonly #counts = new Map<string, Map<string, number>>()
  readonly #wrong: string[] = []
  #held = 0

  add (leaf: Leaf): void {
    if (leaf.type === 'draw.epoch') this.#epoch(leaf)
    else if (leaf.type === 'completion.begin') this.#draw(leaf)
  }

  report (): DrawReport {
    const waiting = [...this.#waiting].map(([epoch, all]) => ({ epoch, draws: all.length, until: this.#committed.get(epoch)?.until ?? null }))
    return { held: this.#held, open: waiting.reduce((sum, { draws }) => sum + draws, 0), waiting, wrong: this.#wrong, epochs: { begun: this.#committed.size, revealed: this.#secrets.size }, counts: this.#counts }
  }

  #epoch (leaf: Leaf): void {
    const epoch = Number(leaf['epoch'])
    if (leaf['event'] === 'begun') {
      if (this.#committed.has(epoch)) this.#say(`epoch ${epoch} was begun twice`)
      this.#committed.set(epoch, { sha256: String(leaf['secret_sha256']), until: typeof leaf['until'] === 'number' ? leaf['until'] : null })
      return
    }
    const secret = Buffer.from(String(leaf['secret']), 'base64')
    const committed = this.#committed.get(epoch)
    if (committed === undefined) this.#say(`epoch ${epoch} is revealed and was never committed to (or not in this export)`)
    else if (hash('sha256', secret) !== committed.sha256) this.#say(`epoch ${epoch}: the secret that was revealed is not the one that was committed to`)
    else {
      this.#secrets.set(epoch, secret)
      for (const one of this.#waiting.get(epoch) ?? []) this.#check(one, secret)
      this.#waiting.delete(epoch)
    }
  }

  #draw (leaf: Leaf): void {
    const perspective = leaf['perspective'] as { id: string, mixture?: string, weights: Record<string, number>, draw: Recorded | null } | null
    if (!perspective) return
    if (!perspective.draw) {
      if (perspective.mixture === 'sample') this.#say(`record ${String(leaf.id)} is of a mixture that draws, and says of no draw`)
      return
    }
    const one: Waiting = { record: String(leaf.id), tenant: String(leaf['tenant']), request: String(leaf['request']), draw: perspective.draw, weights: perspective.weights, id: perspective.id }
    const { epoch } = one.draw
    if (!this.#committed.has(epoch)) this.#say(`record ${one.record} was drawn from epoch ${epoch}, to which nothing had been committed (or not in this export)`)
    const secret = this.#secrets.get(epoch)
    // a conversation keeps its epoch even after the secret was revealed
    if (secret) { this.#check(one, secret); return }
    const waiting = this.#waiting.get(epoch)
    if (waiting) waiting.push(one)
    else this.#waiting.set(epoch, [one])
  }

  #check ({ record, tenant, request, draw, weights, id }: Waiting, secret: Uint8Array): void {
    // an answer that was told again, to whoever repeated an Idempotency-Key, is the draw of the request that came first
    const madeFor = draw.request ?? request
    const value = drawValue(secret, { tenant, sticky: draw.sticky, request: madeFor, seed: draw.seed })
    const chosen = pick(weights, value)
    if (value !== draw.value) this.#say(`record ${record}: the draw is ${value}, the log says ${draw.value}`)
    else if (chosen !== draw.chosen || chosen !== id) this.#say(`record ${record}: the draw falls on ${chosen}, the log says ${draw.chosen} and ${id} answered`)
    else {
      this.#held++
      if (madeFor !== request) return
      const name = JSON.stringify(Object.fromEntries(Object.entries(weights).sort(([a], [b]) => a < b ? -1 : 1)))
      const counts = this.#counts.get(name) ?? new Map<string, number>()
      this.#counts.set(name, counts.set(chosen, (counts.get(chosen) ?? 0) + 1))
    }
  }

  #say (wrong: string): void { if (this.#wrong.length < WRONG_TOLD) this.#wrong.push(wrong) }
}
