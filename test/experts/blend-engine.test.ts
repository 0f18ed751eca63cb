import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { mixed } from '../../src/experts/blend.ts'
import type { Expert } from '../../src/experts/expert.ts'
import { tinyModel } from '../fixtures/tiny-model.ts'
import { answer, holds, trio } from './blending.ts'

t.test('blends on the engine are exact and do not leak (tiny model)', async (t) => {
  const { modelPath: file, adapters } = tinyModel()
  const all = await trio(t, file, adapters)
  await holds(t, all)

  t.test('settings that are thrown out while they are asked for are answered as alone, and their memory comes back', async (t) => {
    const blend = (weight: number): Expert => mixed([{ expert: all.A, weight }, { expert: all.B, weight: 1 - weight }])
    const weights = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]
    const alone: string[] = []
    for (const weight of weights) alone.push(await answer(blend(weight)))
    const memory = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${all.engine.state().pid}/status`, 'utf8'))?.[1]) / 1024
    const linux = existsSync('/proc/self/status')
    let early = 0
    for (let round = 0; round < 12; round++) {
      const answers = await Promise.all(weights.map((weight) => answer(blend(weight))))
      t.same(answers, alone, `round ${round}`)
      if (round === 3 && linux) early = memory()
    }
    if (linux) {
      const growth = memory() - early
      t.comment(`memory grew by ${growth.toFixed(1)} MiB over 64 requests of 8 settings`)
      // a leak of these contexts was seen as 244 MiB
      t.ok(growth < 100, `${growth} MiB`)
    }
  })
})
