import t from 'tap'
import { build, QUESTION } from '../helper.ts'
import { isNew, reply } from '../contracts/idempotency.ts'

t.test('erasing an exchange reaches the answer that is kept for whoever comes again', async (t) => {
  const built = await build(t)
  const { services } = built
  const ends = async (perspective: string) => (await built.ask({ model: perspective, messages: QUESTION })).headers.get('x-audit-record')!
  const [erased, stays] = [await ends('progressive'), await ends('conservative')]
  for (const record of [erased, stays]) await isNew(await services.idempotency.claim('t_1', record, 'f')).keep(reply({ record }))
  await services.retention.erase({ record: erased }, { by: null, reason: 'asked for' })
  isNew(await services.idempotency.claim('t_1', erased, 'f'))
  t.equal((await services.idempotency.claim('t_1', stays, 'f')).kind, 'replay')
})

t.test('what became of limits and of keys is counted for the operator', async (t) => {
  const { url, keys, services } = await build(t)
  await isNew(await services.idempotency.claim('t_1', 'key', 'f')).release()
  await t.rejects(services.limits.admit({ key: 'k_1', quota: { requestsPerMinute: null, tokensPerMinute: 5, streams: null, tokensPerDay: null }, tokens: 6, stream: false }))
  const metrics = await (await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${keys.admin}` } })).text()
  t.match(metrics, /^parallax_limits_refused_total\{limit="too_large"\} 1$/m)
  t.match(metrics, /^parallax_limits_refused_total\{limit="unavailable"\} 0$/m)
  t.match(metrics, /^parallax_idempotency_total\{result="new"\} 1$/m)
})
