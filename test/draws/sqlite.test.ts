import t from 'tap'
import { DrawCheck } from '../../src/draws/check.ts'
import { sqliteEpochs } from '../../src/draws/sqlite.ts'
import { newId } from '../../src/ids.ts'
import { ask, epochsContract, HOUR, WEIGHTS, world } from '../contracts/epochs.ts'
import { temporary } from '../helper.ts'

epochsContract(t, async (t) => {
  const directory = temporary(t)
  return () => sqliteEpochs(directory)
})

t.test('an auditor computes every draw again, and finds one that was changed, a secret that was exchanged, and a draw before its commitment', async (t) => {
  const directory = temporary(t)
  const { log, time, open } = world(t, () => sqliteEpochs(directory))
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
