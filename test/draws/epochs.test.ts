import { hash } from 'node:crypto'
import t, { type Test } from 'tap'
import type { LeafDraft } from '../../src/audit/log.ts'
import { DrawCheck } from '../../src/draws/check.ts'
import { epochDraws, type EpochStore } from '../../src/draws/epochs.ts'
import { sqliteEpochs } from '../../src/draws/sqlite.ts'
import { ParallaxError } from '../../src/errors.ts'
import { newId } from '../../src/ids.ts'
import { temporary } from '../helper.ts'

const HOUR = 3_600_000
const WEIGHTS = { conservative: 0.5, progressive: 0.5 }

/** A log that keeps leaves by id, refuses on demand, or keeps and says that it did not. */
class FakeLog {
  readonly leaves: LeafDraft[] = []
  failure: 'not kept' | 'kept' | null = null
  async append (drafts: readonly LeafDraft[]): Promise<never[]> {
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

interface World { readonly log: FakeLog, readonly time: { now: number }, readonly open: () => ReturnType<typeof epochDraws> }

function world (t: Test, store: () => EpochStore): World {
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

const sqlite = (t: Test): World => {
  const directory = temporary(t)
  return world(t, () => sqliteEpochs(directory))
}
const ask = (more: object = {}) => ({ tenant: 't_1', sticky: null, request: newId(), seed: null, weights: WEIGHTS, ...more })

t.test('the secret\'s hash is on record before the first draw, and the secret only after the epoch\'s end', async (t) => {
  const { log, time, open } = sqlite(t)
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
  const { log, open } = sqlite(t)
  const draws = open()
  log.failure = 'not kept'
  await t.rejects(draws.draw(ask()), { code: 'audit_unavailable' })
  log.failure = 'kept'
  await draws.draw(ask())
  log.failure = null
  await draws.draw(ask())
  t.same(log.events(), ['begun'], 'the same epoch is begun once, whatever came between')
})

t.test('a sticky conversation keeps its perspective over epochs and restarts', async (t) => {
  const { log, time, open } = sqlite(t)
  let draws = open()
  const first = await Promise.all(Array.from({ length: 20 }, (_, at) => draws.draw(ask({ sticky: `conv-${at}` }))))
  for (let day = 0; day < 3; day++) {
    time.now += 25 * HOUR
    await draws.draw(ask())
    await draws.tick()
    await draws.close()
    draws = open()
    for (const [at, before] of first.entries()) t.same(await draws.draw(ask({ sticky: `conv-${at}` })), before)
  }
  t.ok((await draws.draw(ask({ sticky: 'a new one' }))).epoch > first[0]!.epoch, 'a new conversation is drawn from the new epoch')
  t.ok(log.events().includes('revealed'))
})

t.test('a crash between the store and the leaf leaves one epoch, begun once', async (t) => {
  const directory = temporary(t)
  const { log, open } = world(t, () => sqliteEpochs(directory))
  log.failure = 'not kept'
  const dying = open()
  await t.rejects(dying.draw(ask()))
  await dying.close()
  log.failure = null
  const next = open()
  await next.draw(ask())
  t.same(log.events(), ['begun'])
})

t.test('an auditor computes every draw again, and finds one that was changed, a secret that was exchanged, and a draw before its commitment', async (t) => {
  const { log, time, open } = sqlite(t)
  const draws = open()
  const leaves: any[] = []
  const add = async (more: object = {}): Promise<void> => {
    const asked = ask(more)
    const draw = await draws.draw(asked)
    leaves.push(...log.leaves.splice(0).map(({ type, id, fields }) => ({ type, id, ...fields })), { type: 'completion.begin', id: newId(), tenant: asked.tenant, request: asked.request, perspective: { id: draw.chosen, weights: WEIGHTS, draw } })
  }
  for (let at = 0; at < 50; at++) await add(at % 3 === 0 ? { sticky: `c${at % 4}`, seed: at % 2 } : {})
  const check = (all: any[]) => {
    const one = new DrawCheck()
    for (const leaf of all) one.add(leaf)
    return one.report()
  }
  t.match(check(leaves), { held: 0, open: 50, wrong: [] })
  time.now += 2 * HOUR
  await draws.tick()
  await add({ sticky: 'c0', seed: 0 })
  t.match(check(leaves), { held: 51, open: 0, wrong: [], epochs: { begun: 1, revealed: 1 } })

  const changed = (change: (all: any[]) => void) => {
    const copy = structuredClone(leaves)
    change(copy)
    return check(copy).wrong
  }
  const draw = leaves.findIndex(({ type }) => type === 'completion.begin')
  t.match(changed((all) => { all[draw].perspective.draw.value = 0.123 }), [/the draw is/])
  const other = (id: string) => id === 'progressive' ? 'conservative' : 'progressive'
  t.match(changed((all) => { all[draw].perspective.id = other(all[draw].perspective.id) }), [/the draw falls on/])
  t.match(changed((all) => { all[draw].request = 'another' ; all[draw].perspective.draw.sticky = null }), [/the draw is/])
  t.match(changed((all) => { all.find(({ event }: any) => event === 'revealed').secret = 'AAAA' }), [/not the one that was committed to/])
  t.match(changed((all) => { all.push(all.shift()) }), [/nothing had been committed/])
})
