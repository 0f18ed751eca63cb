/** `parallax verify`: a stranger's check, from a file or straight from a gateway. Asks nothing of the gateway but the export and its tiles. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import { verifyExport } from '../audit/verify.ts'
import { verifyTiles } from '../audit/verify-tiles.ts'
import { UsageError, type Command } from './commands.ts'
import { tell } from './findings.ts'
import { descriptorOf, fileOf, keyIn } from './input.ts'
import { logKeys } from './log-keys.ts'

const usage = `Usage: parallax verify <export.ndjson | http://host:port> [options]

Computes everything again from an export of the audit log: hashes, order, key_seq, pairs, transcripts, and the signed root.
Of a gateway also the tiles that it serves to everyone: whether they are the same tree.

  --vkey KEY          the log's key (name+id+key), from elsewhere than the log; again, behind it, for a key that it had before
  --checkpoint FILE   a checkpoint kept from before: finds a history that was rewritten
  --key-file FILE     the auditor's API key, for a gateway; or "-" for standard input

Exit codes: 0 everything that could be checked holds, 1 something does not, 2 called wrongly.
`

const isAddress = (from: string): boolean => /^https?:\/\//.test(from)
const under = (address: string, path: string): string => `${address.replace(/\/+$/, '')}/audit/v1/${path}`

/** The lines of a file, or of a gateway's export. */
async function open (from: string, keyFile: string | undefined): Promise<Readable> {
  if (!isAddress(from)) return createReadStream(from, { fd: descriptorOf('the export', from) })
  if (keyFile === undefined) throw new UsageError('A gateway wants an auditor\'s key: --key-file FILE, or "-" for standard input.')
  const key = keyIn('the API key', keyFile)
  const reply = await fetch(under(from, 'export'), { headers: { authorization: `Bearer ${key}` } })
    .catch((error: Error) => { throw new Error(`Cannot reach ${from}: ${error.cause instanceof Error ? error.cause.message : error.message}. Wanted the gateway's address, such as http://127.0.0.1:3000.`) })
  if (!reply.ok || !reply.body) throw new Error(`The gateway answered with status ${reply.status}: ${(await reply.text()).slice(0, 300)}`)
  return Readable.fromWeb(reply.body)
}

/** A tile as everyone gets it: without a key. */
const tilesOf = (address: string) => async (path: string): Promise<Uint8Array> => {
  const reply = await fetch(under(address, `log/${path}`))
  if (!reply.ok) throw new Error(`the gateway answered with status ${reply.status}`)
  return new Uint8Array(await reply.arrayBuffer())
}

export const verify: Command = {
  usage,
  async run (args, { out }) {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { vkey: { type: 'string', multiple: true }, checkpoint: { type: 'string' }, 'key-file': { type: 'string' } } })
    const [from, ...more] = positionals
    if (from === undefined || more.length > 0) throw new UsageError('Name one export, or the address of one gateway.')
    const verifier = logKeys(values.vkey)
    const kept = values.checkpoint === undefined ? undefined : fileOf('the kept checkpoint', values.checkpoint).toString()
    const lines = createInterface({ input: await open(from, values['key-file']), crlfDelay: Infinity })
    const findings = await verifyExport(lines, { verifier, kept })
    const { checked, wrong, notChecked, checkpoint } = findings
    if (!isAddress(from)) notChecked.push('the tiles that the gateway serves to everyone: give its address instead of a file')
    else if (checkpoint) {
      const { wrong: tile, tiles } = await verifyTiles(checkpoint, tilesOf(from))
      if (tile) wrong.push(`the tiles: ${tile}`)
      else checked.push(`${tiles} tiles that the gateway serves to everyone: the same tree`)
    }
    tell(findings, out)
  },
}
