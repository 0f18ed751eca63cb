import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import * as upstream from '../fixtures/upstream.ts'
import { QUESTION } from '../helper.ts'
import { audited, stores } from './stores.ts'

const STALLED_MS = 400

const { each } = await stores(t)
for (const store of each) {
  const { name, skip } = store

  t.test(`${name}: no byte of an answer leaves before its begin is durable`, { skip }, async (t) => {
    const gateway = await store.build(t)
    for (const stream of [true, false]) {
      const release = await store.stall(gateway)
      let replied = false
      const asking = gateway.ask({ model: 'A', messages: QUESTION, stream }).then((reply) => { replied = true; return reply })
      await sleep(STALLED_MS)
      t.notOk(replied, 'not even headers')
      await release()
      t.equal((await asking).status, 200)
      await (await asking).text()
    }
    t.same((await audited(gateway)).wrong, [])
  })

  t.test(`${name}: a finish leaves only when the end is durable, while what was journalled flows on`, { skip }, async (t) => {
    const gateway = await store.build(t)
    gateway.upstreams.conservative.reply(upstream.stream({ delay: 60 }))
    const reply = await gateway.ask({ model: 'B', messages: QUESTION, stream: true })
    const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    const take = async (until: RegExp): Promise<void> => { while (!until.test(text)) text += (await reader.read()).value ?? '' }
    await take(/data: /)
    const release = await store.stall(gateway)
    const before = text.length
    const rest = take(/\[DONE\]/)
    // long enough for the expert to have said everything
    await sleep(1500)
    t.ok(text.length > before, 'chunks go on')
    t.notMatch(text, /"finish_reason":"stop"|\[DONE\]|"audit"/, 'the finish does not')
    await release()
    await rest
    t.match(text, /"finish_reason":"stop".*"audit":\{.*\n\ndata: \[DONE\]/)
    t.same((await audited(gateway)).wrong, [])
  })
}
