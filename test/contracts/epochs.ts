/** What every store of the draws' epochs promises, and the draws that are made of it: the same tests on each, with a log and a clock of the test's own. */
import { hash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import type { LeafDraft } from '../../src/audit/log.ts'
import { epochDraws, type EpochStore } from '../../src/draws/epochs.ts'
import { ParallaxError } from '../../src/errors.ts'
import { newId } from '../../src/ids.ts'

export const HOUR = 3_600_000
export const WEIGHTS = { conservative: 0.5, progressive: 0.5 }
export const ask = (more: object = {}) => ({ tenant: 't_1', sticky: null, request: newId(), seed: null, weights: WEIGHTS, ...more })

/** A log that keeps leaves by id, refuses on demand, or keeps and says that it did not. Shared by all replicas of a test. */
export class FakeLog {
  readonly leaves: LeafDraft[] = []
  failure: 'not kept' | 'kept' | null = null
  async append (drafts: readonly LeafDraft[]): Promise<never[]> {
    // as long as a commit takes: what happens at once meets here
    await pause(2)
    const refusal = new ParallaxError('audit_unavailable', 'no')
    if (this.failure === 'not kept') throw refusal
    for (const draft of drafts) {
      if (this.leaves.some(({ id }) => id === draft.id)) throw new ParallaxError('internal_error', 'taken')
      this.leaves.push(draft)
    }
    if (this.failure === 'kept') throw refusal
    return []
  }

  async record (id: string): Promise<any> { return this.leaves.find((leaf) => leaf.id === id) ?? null }
  events (): unknown[] { return this.leaves.map(({ fields }) => fields['event']) }
}

export interface World {
  readonly log: FakeLog
  readonly time: { now: number }
  /** The draws of one more replica, or of one that was started again. */
  readonly open: () => ReturnType<typeof epochDraws>
}

/** Opens one more handle on the same fresh place. */
export type OpenEpochs = () => EpochStore

export function world (t: Test, store: OpenEpochs): World {
  const log = new FakeLog()
  const time = { now: 1_795_000_000_000 }
  return {
    log, time,
    open: () => {
      const draws = epochDraws({ store: store(), audit: log, epochMs: HOUR, clock: () => time.now, onError: (error) => t.fail(String(error)) })
      t.teardown(() => draws.close())
      return draws
    },
  }
}

export function epochsContract (t: Test, make: (t: Test) => Promise<OpenEpochs>): void {
  const fresh = async (t: Test): Promise<World> => world(t, await make(t))

  t.test('the secret\'s hash is on record before the first draw, and the secret only after the epoch\'s end', async (t) => {
    const { log, time, open } = await fresh(t)
    const draws = open()
    t.same(log.events(), [])
    await draws.draw(ask())
    t.same(log.events(), ['begun'])
    await draws.tick()
    t.same(log.events(), ['begun'])
    time.now += HOUR + 1000
    await draws.draw(ask())
    await draws.tick()
    t.same(log.events(), ['begun', 'begun'], 'another replica may still draw from it')
    time.now += 61_000
    await draws.tick()
    await draws.tick()
    t.same(log.events(), ['begun', 'begun', 'revealed'])
    const [begun, , revealed] = log.leaves
    t.equal(begun!.fields['epoch'], revealed!.fields['epoch'])
    t.equal(hash('sha256', Buffer.from(revealed!.fields['secret'] as string, 'base64')), begun!.fields['secret_sha256'])
  })

  t.test('a log that refuses means no draw; one that kept the leaf and said otherwise is found out', async (t) => {
    const { log, open } = await fresh(t)
    const draws = open()
    log.failure = 'not kept'
    await t.rejects(draws.draw(ask()), { code: 'audit_unavailable' })
    log.failure = 'kept'
    await draws.draw(ask())
    log.failure = null
    await draws.draw(ask())
    t.same(log.events(), ['begun'], 'the same epoch is begun once, whatever came between')
  })

  t.test('a crash between the store and the leaf leaves one epoch, begun once, by whoever comes next', async (t) => {
    const { log, open } = await fresh(t)
    log.failure = 'not kept'
    const dying = open()
    await t.rejects(dying.draw(ask()))
    await dying.close()
    log.failure = null
    await open().draw(ask())
    t.same(log.events(), ['begun'])
  })

  t.test('replicas that begin an epoch at the same time begin one, with one leaf, and reveal it once', async (t) => {
    const { log, time, open } = await fresh(t)
    const replicas = [open(), open(), open()]
    for (let round = 1; round <= 8; round++) {
      const drawn = await Promise.all(replicas.flatMap((one) => [one.draw(ask()), one.draw(ask())]))
      t.equal(new Set(drawn.map(({ epoch }) => epoch)).size, 1, `round ${round}: one epoch`)
      t.equal(log.events().filter((event) => event === 'begun').length, round, `round ${round}: one leaf`)
      time.now += HOUR + 61_000
      await Promise.all(replicas.map((one) => one.tick()))
      t.equal(log.events().filter((event) => event === 'revealed').length, round, `round ${round}: revealed once`)
    }
    const secrets = log.leaves.filter(({ fields }) => fields['event'] === 'begun').map(({ fields }) => fields['secret_sha256'])
    t.equal(new Set(secrets).size, 8, 'each has a secret of its own')
  })

  t.test('what one replica draws from is what the others draw from: a conversation gets the same answer from each', async (t) => {
    const { log, open } = await fresh(t)
    const [one, two] = [open(), open()]
    const conversations = Array.from({ length: 20 }, (_, at) => ask({ sticky: `conv-${at}`, seed: at % 2 }))
    const first = await Promise.all(conversations.map((each, at) => (at % 2 === 0 ? one : two).draw(each)))
    for (const [at, each] of conversations.entries()) for (const replica of [one, two]) t.same(await replica.draw(each), first[at])
    t.same(log.events(), ['begun'])
  })

  t.test('a conversation that two replicas meet at once, one of them in a new epoch, keeps one epoch for both', async (t) => {
    const { time, open } = await fresh(t)
    const [one, two] = [open(), open()]
    await one.draw(ask())
    await two.draw(ask())
    time.now += HOUR + 1000
    await two.draw(ask())
    const met = await Promise.all([one, two].map((replica) => replica.draw(ask({ sticky: 'met' }))))
    t.same(met[0], met[1])
    t.same(await open().draw(ask({ sticky: 'met' })), met[0])
  })

  t.test('a sticky conversation keeps its perspective over epochs, restarts and replicas', async (t) => {
    const { log, time, open } = await fresh(t)
    let draws = open()
    const first = await Promise.all(Array.from({ length: 20 }, (_, at) => draws.draw(ask({ sticky: `conv-${at}` }))))
    for (let day = 0; day < 3; day++) {
      time.now += 25 * HOUR
      await draws.draw(ask())
      await draws.tick()
      await draws.close()
      draws = open()
      const other = open()
      for (const [at, before] of first.entries()) for (const replica of [draws, other]) t.same(await replica.draw(ask({ sticky: `conv-${at}` })), before)
    }
    t.ok((await draws.draw(ask({ sticky: 'a new one' }))).epoch > first[0]!.epoch, 'a new conversation is drawn from the new epoch')
    t.ok(log.events().includes('revealed'))
  })

  t.test('a conversation that rested for half a year is let go of, one that did not is kept', async (t) => {
    const store = (await make(t))()
    t.teardown(() => store.close())
    const epoch = await store.begin({ epoch: 7, secret: Buffer.alloc(32, 1), until: 2000, leaf: newId(), committed: false }, null)
    for (const [name, used] of [['rested', 100], ['busy', 100], ['busy', 500], ['busy', 300]] as const) await store.keep(name, 7, used)
    await store.forget(400)
    await store.begin({ epoch: 9, secret: Buffer.alloc(32, 2), until: 3000, leaf: newId(), committed: false }, epoch.epoch)
    t.equal(await store.keep('rested', 9, 600), 9)
    t.equal(await store.keep('busy', 9, 600), 7)
  })

  t.test('a conversation that never rests is kept for years by a gateway that never stops', async (t) => {
    const { time, open } = await fresh(t)
    const one = open()
    const first = await one.draw(ask({ sticky: 'long', seed: 1 }))
    for (let week = 0; week < 60; week++) {
      time.now += 7 * 24 * HOUR
      t.same(await one.draw(ask({ sticky: 'long', seed: 1 })), first)
      if (week % 10 === 9) await one.tick()
    }
    t.same(await open().draw(ask({ sticky: 'long', seed: 1 })), first, 'and another replica knows of it')
  })

  t.test('the store gives back what it was given, and begins nothing on a state that it does not have', async (t) => {
    const open = await make(t)
    const [store, other] = [open(), open()]
    t.teardown(() => { void store.close(); void other.close() })
    t.equal(await store.latest(), null)
    t.equal(await store.byNumber(7), null)
    const first = { epoch: 7, secret: Buffer.from('a'.repeat(32)), until: 2000, leaf: newId(), committed: false }
    t.match(await store.begin(first, null), { epoch: 7 })
    t.match(await other.begin({ ...first, epoch: 8, leaf: newId() }, null), { epoch: 7, leaf: first.leaf }, 'who did not know of it gets it')
    t.match(await other.byNumber(7), { ...first, secret: Uint8Array })
    t.ok(Buffer.from((await other.latest())!.secret).equals(first.secret))
    t.same(await other.unrevealed(9999), [], 'what is not committed is not revealed')
    await other.committed(7)
    t.equal((await store.latest())!.committed, true)
    t.same((await store.unrevealed(2000)).length, 0)
    t.same((await store.unrevealed(2001)).map(({ epoch }) => epoch), [7])
    await store.revealed(7)
    t.same(await other.unrevealed(9999), [])
  })
}
