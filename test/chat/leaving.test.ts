import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import * as upstream from '../fixtures/upstream.ts'
import { QUESTION, until } from '../helper.ts'
import { audited, stores } from '../stores/stores.ts'

const CLIENTS = { SQLite: 1000, PostgreSQL: 300 } as Record<string, number>
const AT_ONCE = 50

for (const store of (await stores(t)).each) t.test(`${store.name}: ${CLIENTS[store.name]} clients that leave at random tokens leave as many closed records, each with at least what they had seen`, { skip: store.skip }, async (t) => {
  const clients = CLIENTS[store.name]!
  const gateway = await store.build(t)
  for (const one of Object.values(gateway.upstreams)) one.reply(upstream.endless(1))
  const seen = new Map<string, number>()
  let asked = 0

  async function client (): Promise<void> {
    while (asked < clients) {
      const mine = asked++
      const leaving = new AbortController()
      try {
        // some leave before the first byte, some after many
        if (mine % 10 === 0) void sleep(Math.random() * 8).then(() => { leaving.abort() })
        const reply = await gateway.ask({ model: mine % 2 ? 'A' : 'B', messages: QUESTION, stream: true }, {}, leaving.signal)
        const record = reply.headers.get('x-audit-record')!
        const reader = reply.body!.getReader()
        const enough = Math.random() * 4000
        for (let bytes = 0; bytes < enough;) {
          bytes += (await reader.read()).value?.length ?? 0
          seen.set(record, bytes)
        }
        leaving.abort()
      } catch { /* it left */ }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, client))

  const { audit } = gateway.services
  const count = async () => {
    let [begun, ended] = [0, 0]
    const sent = new Map<string, number>()
    const statuses = new Map<string, number>()
    for await (const one of audit.stream({})) {
      const leaf = JSON.parse(one.leaf)
      if (leaf.type === 'completion.begin') begun++
      if (leaf.type === 'completion.end') {
        ended++
        sent.set(leaf.begin, leaf.bytes_sent)
        statuses.set(leaf.status, (statuses.get(leaf.status) ?? 0) + 1)
      }
    }
    return { begun, ended, sent, statuses }
  }
  await until(async () => { const { begun, ended } = await count(); return begun === ended }, 20_000)
  const { begun, sent, statuses } = await count()
  // one that left before its request was read was never asked
  t.ok(begun > clients * 0.9 && begun <= clients, `${begun} exchanges`)
  t.equal(statuses.get('client_abort'), begun, JSON.stringify([...statuses]))
  const comment = ': parallax\n\n'.length
  const short = [...seen].filter(([record, bytes]) => (sent.get(record) ?? -1) < bytes - comment)
  t.same(short, [], 'nobody saw more than is on record')
  await until(() => Object.values(gateway.upstreams).every((one) => one.requests.every((request) => request.aborted)), 5000)
  t.same((await audited(gateway)).wrong, [])
  t.pass('and no expert goes on for nobody')
})
