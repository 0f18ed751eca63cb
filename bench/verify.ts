/** How fast a stranger's check is: an export of exchanges with their transcripts, verified from a file as `parallax verify` does. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Bench, Stage } from './bench.ts'
import { median } from './statistics.ts'
import { startNode } from './system.ts'
import { table, whole } from './table.ts'

const LEAVES = 50_000

interface Verified { readonly leaves: number, readonly seconds: number, readonly cpu: number }

export const verification: Bench = {
  name: 'verify',
  about: 'parallax verify over an export of 50,000 leaves with transcripts',
  async run ({ placement, plan, dataParent }: Stage) {
    const directory = await mkdtemp(join(dataParent, 'verify-'))
    const { child, said, stop } = startNode({ cores: placement.system, file: './verify-leaves.ts', args: [directory, String(LEAVES), String(plan.rounds)] })
    try {
      const rounds: Verified[] = []
      for await (const line of createInterface(child.stdout!)) rounds.push(JSON.parse(line) as Verified)
      if (rounds.length < plan.rounds) throw new Error(`it broke off: ${said()}`)
      const byClock = median(rounds.map(({ leaves, seconds }) => leaves / seconds))
      const byCpu = median(rounds.map(({ leaves, cpu }) => leaves / cpu))
      return {
        title: `Verification of an export of ${whole(rounds[0]!.leaves)} leaves, each with its transcript`,
        report: `${table(['system', 'leaves/s', 'leaves/s of CPU time', 'CPU µs a leaf'], [['parallax verify, from a file', whole(byClock), whole(byCpu), (1e6 / byCpu).toFixed(1)]])}\n\nTarget: 50,000 leaves/s.`,
        figures: { 'verify.leavesPerSecond': byClock, 'verify.leavesPerCpuSecond': byCpu },
      }
    } finally {
      await stop()
      await rm(directory, { recursive: true, force: true })
    }
  },
}
