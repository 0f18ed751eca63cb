import t from 'tap'
import { memoryLimits } from '../../src/limits/memory.ts'
import { limitsContract } from '../contracts/limits.ts'

limitsContract(t, async (t, clock) => {
  const limits = memoryLimits({ clock: () => clock.now })
  t.teardown(() => limits.close())
  return [limits, limits]
})
