/** `parallax draws`: every draw of an export, computed again. Asks nothing of a gateway. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { DrawCheck, type DrawReport } from '../draws/check.ts'
import { UsageError, type Command } from './commands.ts'
import { descriptorOf } from './input.ts'

const usage = `Usage: parallax draws <export.ndjson>

Computes every draw of a weighted mixture again, from the secrets that the log committed to before and revealed after.
A draw can be checked once its epoch has ended and the log holds its secret. That the export's lines are the log's is
what "parallax verify" says; run it first.

Exit codes: 0 every draw that could be checked is as recorded, 1 one is not, or the export is not whole, 2 called wrongly.
`

type Leaf = Parameters<DrawCheck['add']>[0]

/** A record's leaf, the manifest, or null where the line is neither. */
function read (line: string): Leaf | 'manifest' | null {
  try {
    const { leaf, manifest } = JSON.parse(line) as { leaf?: string, manifest?: unknown }
    if (typeof leaf === 'string') return JSON.parse(leaf) as Leaf
    return manifest === undefined ? null : 'manifest'
  } catch { return null }
}

/** Gives the export's leaves to the check; returns why the export is not whole, or null. */
async function checkLines (from: string, check: DrawCheck): Promise<string | null> {
  let number = 0
  const lines = createInterface({ input: createReadStream(from, { fd: descriptorOf('the export', from) }), crlfDelay: Infinity })
  for await (const line of lines) {
    number++
    const found = read(line)
    if (found === null) {
      if (number === 1) throw new UsageError(`${from} is no export: its first line is neither a record nor a manifest. Wanted what GET /audit/v1/export answers, as NDJSON.`)
      return `line ${number} of ${from} is neither a record nor a manifest: the export was cut off or altered`
    }
    if (found === 'manifest') return null
    check.add(found)
  }
  if (number === 0) throw new UsageError(`${from} is empty. Wanted what GET /audit/v1/export answers, as NDJSON.`)
  return `${from} ends without its manifest: the export was cut off. Pull it again`
}

const counted = (count: number): string => `${count} ${count === 1 ? 'draw' : 'draws'}`

function notYet ({ epoch, draws, until }: DrawReport['waiting'][number]): string {
  const when = until === null ? 'when it ends, this export does not say' : `it ends at ${new Date(until).toISOString()}, and a running gateway reveals its secret within minutes after that: pull the export again then`
  return `${counted(draws)} of epoch ${epoch}, whose secret is not revealed in this export; ${when}`
}

export const draws: Command = {
  usage,
  async run (args, { out }) {
    const { positionals: [from, ...more] } = parseArgs({ args: [...args], allowPositionals: true, options: {} })
    if (from === undefined || more.length > 0) throw new UsageError('Name one export.')
    const check = new DrawCheck()
    const broken = await checkLines(from, check)
    const { held, waiting, wrong, epochs, counts } = check.report()
    const faults = broken === null ? wrong : [broken, ...wrong]
    if (held + waiting.length + faults.length === 0) out('This export holds no draw: nobody was answered by a weighted mixture that draws.\n')
    else out(`checked      ${counted(held)} ${held === 1 ? 'is' : 'are'} as recorded; ${epochs.revealed} of ${epochs.begun} epochs are revealed\n`)
    for (const [weights, by] of counts) out(`             ${weights}: ${[...by].map(([id, count]) => `${id} ${count}`).join(', ')}\n`)
    for (const one of waiting) out(`not checked  ${notYet(one)}\n`)
    for (const one of faults) out(`WRONG        ${one}\n`)
    if (faults.length > 0) throw new Error(`${faults.length} ${faults.length === 1 ? 'thing does' : 'things do'} not hold.`)
  },
}
