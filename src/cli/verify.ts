/** `parallax verify`: a stranger's check, from a file or straight from a gateway. Asks nothing of the gateway but the export. */
import { createReadStream, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import { verifyExport } from '../audit/verify.ts'
import { UsageError, type Command } from './commands.ts'

const usage = `Usage: parallax verify <export.ndjson | http://host:port> [options]

Computes everything again from an export of the audit log: hashes, order, key_seq, pairs, transcripts, and the signed root.

  --vkey KEY          the log's key (name+id+key), from elsewhere than the log
  --checkpoint FILE   a checkpoint kept from before: finds a history that was rewritten
  --key-file FILE     the auditor's API key, for a gateway; or "-" for standard input

Exit codes: 0 everything that could be checked holds, 1 something does not, 2 called wrongly.
`

/** The lines of a file, or of a gateway's export. */
async function open (from: string, keyFile: string | undefined): Promise<Readable> {
  if (!/^https?:\/\//.test(from)) return createReadStream(from)
  if (keyFile === undefined) throw new UsageError('A gateway wants an auditor\'s key: --key-file FILE, or "-" for standard input.')
  const key = readFileSync(keyFile === '-' ? 0 : keyFile, 'utf8').trim()
  const reply = await fetch(`${from.replace(/\/+$/, '')}/audit/v1/export`, { headers: { authorization: `Bearer ${key}` } })
  if (!reply.ok || !reply.body) throw new Error(`The gateway answered with status ${reply.status}: ${(await reply.text()).slice(0, 300)}`)
  return Readable.fromWeb(reply.body)
}

export const verify: Command = {
  usage,
  async run (args, { out }) {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { vkey: { type: 'string' }, checkpoint: { type: 'string' }, 'key-file': { type: 'string' } } })
    const [from, ...more] = positionals
    if (from === undefined || more.length > 0) throw new UsageError('Name one export, or the address of one gateway.')
    const lines = createInterface({ input: await open(from, values['key-file']), crlfDelay: Infinity })
    const { checked, wrong, notChecked } = await verifyExport(lines, { verifier: values.vkey, kept: values.checkpoint === undefined ? undefined : readFileSync(values.checkpoint, 'utf8') })
    for (const one of checked) out(`checked      ${one}\n`)
    for (const one of notChecked) out(`not checked  ${one}\n`)
    for (const one of wrong) out(`WRONG        ${one}\n`)
    if (wrong.length > 0) throw new Error(`${wrong.length} ${wrong.length === 1 ? 'thing does' : 'things do'} not hold.`)
  },
}
