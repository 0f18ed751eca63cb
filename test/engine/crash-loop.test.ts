import t from 'tap'
import { until } from '../helper.ts'
import { start } from './running.ts'

t.test('five crashes within a minute are called a failure, with the reason, and every state is told', async (t) => {
  const engine = start(t)
  const told: string[] = []
  engine.onState(({ status }) => { told.push(status) })
  for (let crash = 1; crash <= 5; crash++) {
    await engine.ready()
    process.kill(engine.state().pid!, 'SIGKILL')
    await until(() => engine.state().status !== 'ready')
  }
  t.match(engine.state(), { status: 'failed', restarts: 4, reason: /crashed 5 times within a minute, last with SIGKILL/ })
  t.same(told, [...Array.from({ length: 4 }, () => ['ready', 'restarting']).flat(), 'ready', 'failed'])
  await t.rejects(engine.ready(), { message: /crashed 5 times/ })
})
