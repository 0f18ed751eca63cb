/** Brings every record's key under a new key-encryption key while the log goes on, and says so in the log. An interrupted one goes on at the next start. */
import { ParallaxError } from '../errors.ts'
import { newId } from '../ids.ts'
import type { AuditLog } from './log.ts'
import type { CommitQueue } from './queue.ts'
import { keyringOf, newKek, type KekSource, type Keyring } from './seal/keyring.ts'

interface Rooms {
  readonly source: KekSource
  readonly queue: CommitQueue
  /** Ids of the keys that something may be sealed under, the current one first; '' for what is not sealed yet. */
  readonly inUse: () => Promise<readonly string[]>
  /** Rejects, for people, where others have the log open who would not learn of a key that is made here. */
  readonly alone?: () => Promise<void>
  /** Reads and journals under this ring from now on. */
  readonly adopted: (ring: Keyring) => void
}

type Rotated = Awaited<ReturnType<AuditLog['rotateKek']>>

export class KekRotation {
  readonly #rooms: Rooms
  #ring: Keyring
  #running: Promise<Rotated | null> | null = null
  #stopped = false

  constructor (rooms: Rooms) {
    this.#rooms = rooms
    this.#ring = rooms.source.ring
    const running = this.#stale().then(async (stale) => {
      if (stale.length > 0) return this.#rotate(false)
      // a death after the last word of a rotation has left its old keys
      await this.#drop()
      return null
    })
    this.#running = running
    // the next start, or the operator, tries again
    running.catch(() => {}).finally(() => { if (this.#running === running) this.#running = null })
  }

  /** With a key of our own making, where the file is ours to keep. Rejects with `invalid_request`, and says how, where it is not. */
  async run (): Promise<Rotated> {
    await this.#running?.catch(() => {})
    const running = this.#rotate(true).finally(() => { if (this.#running === running) this.#running = null })
    this.#running = running
    return running
  }

  async stop (): Promise<void> {
    this.#stopped = true
    await this.#running?.catch(() => {})
  }

  async #stale (): Promise<string[]> { return (await this.#rooms.inUse()).filter((id) => id !== this.#ring.current.id) }

  async #rotate (fresh: boolean): Promise<Rotated> {
    const { source, queue } = this.#rooms
    if (fresh && (await this.#stale()).length === 0) {
      if (!source.keep) throw new ParallaxError('invalid_request', `The key-encryption keys are kept outside of the gateway (${source.where}). To rotate: put a new key before the present one there (openssl rand -base64 32), and start the gateway again; it does the rest, and then the old key can go.`)
      await this.#rooms.alone?.()
      const raws = [newKek(), ...this.#ring.all.map((kek) => kek.raw)]
      // kept before it is used: a key that only this process knew would take every transcript with it
      source.keep(raws)
      await this.#adopt(raws)
    }
    const from = await this.#stale()
    let rewrapped = 0
    for (let at: number | null = 0; at !== null;) {
      if (this.#stopped) throw new ParallaxError('shutting_down', 'The rotation goes on at the next start.')
      const step: { next: number | null, count: number } = await queue.between((writer) => writer.rewrap(at!))
      rewrapped += step.count
      at = step.next
    }
    const to = this.#ring.current.id
    const record = newId()
    await queue.append([{ type: 'kek.rotated', id: record, key: null, fields: { from: from.map((id) => id === '' ? 'unsealed' : id), to, rewrapped }, effect: { rewrapped: to } }])
    await this.#drop()
    return { from, to, rewrapped, record }
  }

  /** Keys in our file that nothing is sealed under any more are removed from it: after they were given up, for the store knows best. */
  async #drop (): Promise<void> {
    const { source: { keep }, inUse } = this.#rooms
    const used = await inUse()
    const raws = this.#ring.all.filter((kek) => kek === this.#ring.current || used.includes(kek.id)).map((kek) => kek.raw)
    if (!keep || raws.length === this.#ring.all.length) return
    await this.#adopt(raws)
    keep(raws)
  }

  async #adopt (raws: readonly Uint8Array[]): Promise<void> {
    await this.#rooms.queue.between((writer) => writer.rekey(raws))
    this.#ring = keyringOf(raws)
    this.#rooms.adopted(this.#ring)
  }
}
