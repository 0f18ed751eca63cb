/** `parallax draws`: every draw of an export, computed again. Asks nothing of a gateway. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { DrawCheck } from '../draws/check.ts'
import { UsageError, type Command } from './commands.ts'

const usage = `Usage: parallax draws <export.ndjson>

Computes every draw of a weighted mixture again, from the secrets that the log committed to before and revealed after.
That the export's lines are the log's is what "parallax verify" says; run it first.

Exit codes: 0 every draw that could be checked is as recorded, 1 one is not, 2 called wrongly.
`

export const draws: Command = {
  usage,
  async run (args, { out }) {
    const { positionals: [from, ...more] } = parseArgs({ args: [...args], allowPositionals: true, options: {} })
    if (from === undefined || more.length > 0) throw new UsageError('Name one export.')
    const check = new DrawCheck()
    for await (const line of createInterface({ input: createReadStream(from), crlfDelay: Infinity })) {
      const { leaf } = JSON.parse(line) as { leaf?: string }
      // the manifest, the last line, has none
      if (leaf !== undefined) check.add(JSON.parse(leaf) as Parameters<DrawCheck['add']>[0])
    }
    const { held, open, wrong, epochs, counts } = check.report()
    out(`checked      ${held} draws are as recorded; ${epochs.revealed} of ${epochs.begun} epochs are revealed\n`)
    for (const [weights, by] of counts) out(`             ${weights}: ${[...by].map(([id, count]) => `${id} ${count}`).join(', ')}\n`)
    if (open > 0) out(`not checked  ${open} draws, whose epoch's secret is not revealed in this export\n`)
    for (const one of wrong) out(`WRONG        ${one}\n`)
    if (wrong.length > 0) throw new Error(`${wrong.length} ${wrong.length === 1 ? 'thing does' : 'things do'} not hold.`)
  },
}
