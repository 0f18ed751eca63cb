/** `parallax verify`: a stranger's check, from a file or straight from a gateway. Asks nothing of the gateway but the export. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import { verifyExport } from '../audit/verify.ts'
import { UsageError, type Command } from './commands.ts'
import { tell } from './findings.ts'
import { descriptorOf, fileOf } from './input.ts'

const usage = `Usage: parallax verify <export.ndjson | http://host:port> [options]

Computes everything again from an export of the audit log: hashes, order, key_seq, pairs, transcripts, and the signed root.

  --vkey KEY          the log's key (name+id+key), from elsewhere than the log; again, behind it, for a key that it had before
  --checkpoint FILE   a checkpoint kept from before: finds a history that was rewritten
  --key-file FILE     the auditor's API key, for a gateway; or "-" for standard input

Exit codes: 0 everything that could be checked holds, 1 something does not, 2 called wrongly.
`

/** The lines of a file, or of a gateway's export. */
async function open (from: string, keyFile: string | undefined): Promise<Readable> {
  if (!/^https?:\/\//.test(from)) return createReadStream(from, { fd: descriptorOf('the export', from) })
  if (keyFile === undefined) throw new UsageError('A gateway wants an auditor\'s key: --key-file FILE, or "-" for standard input.')
  const key = fileOf('the API key', keyFile).toString().trim()
  if (!/^\S+$/.test(key)) throw new UsageError(`${keyFile} holds no API key: wanted one alone, such as "parallax keys create" prints.`)
  const reply = await fetch(`${from.replace(/\/+$/, '')}/audit/v1/export`, { headers: { authorization: `Bearer ${key}` } })
    .catch((error: Error) => { throw new Error(`Cannot reach ${from}: ${error.cause instanceof Error ? error.cause.message : error.message}. Wanted the gateway's address, such as http://127.0.0.1:3000.`) })
  if (!reply.ok || !reply.body) throw new Error(`The gateway answered with status ${reply.status}: ${(await reply.text()).slice(0, 300)}`)
  return Readable.fromWeb(reply.body)
}

export const verify: Command = {
  usage,
  async run (args, { out }) {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { vkey: { type: 'string', multiple: true }, checkpoint: { type: 'string' }, 'key-file': { type: 'string' } } })
    const [from, ...more] = positionals
    if (from === undefined || more.length > 0) throw new UsageError('Name one export, or the address of one gateway.')
    const kept = values.checkpoint === undefined ? undefined : fileOf('the kept checkpoint', values.checkpoint).toString()
    const lines = createInterface({ input: await open(from, values['key-file']), crlfDelay: Infinity })
    tell(await verifyExport(lines, { verifier: values.vkey, kept }), out)
  },
}
