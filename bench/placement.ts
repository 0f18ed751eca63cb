/** Which cores the system under test gets and which are left to the mock and the load, so that they do not steal from it. */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

export interface Placement {
  /** The system under test's, and everyone else's; empty: not pinned. */
  readonly system: readonly number[]
  readonly others: readonly number[]
  readonly words: string
}

const canPin = (): boolean => process.platform === 'linux' && spawnSync('taskset', ['-c', '0', 'true']).status === 0

export function place (systemCores: number): Placement {
  const all = availableParallelism()
  if (all < 2 || !canPin()) return { system: [], others: [], words: `nothing is pinned (${all < 2 ? 'one core' : 'no taskset'}): load, mock and system share ${all === 1 ? 'the core' : `${all} cores`}, trust CPU time only` }
  const system = Array.from({ length: Math.min(systemCores, all) }, (_, core) => core)
  const rest = Array.from({ length: all }, (_, core) => core).filter((core) => !system.includes(core))
  if (rest.length === 0) return { system, others: [all - 1], words: `system on cores ${system.join(',')}; mock and load share core ${all - 1} with it, for there are no more` }
  // the mock and the load together cost less than a gateway; one core of their own each is not needed
  const others = rest.slice(0, 2)
  return { system, others, words: `system on core ${system.join(',')}, mock and load on core ${others.join(',')} (taskset)` }
}

/** The command line that runs `command` on these cores. taskset becomes the command: the process id stays its own. */
export const pinned = (cores: readonly number[], command: string, args: readonly string[]): [string, string[]] =>
  cores.length === 0 ? [command, [...args]] : ['taskset', ['-c', cores.join(','), command, ...args]]
