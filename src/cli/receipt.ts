/** `parallax receipt`: the check of one exchange's receipt, from files alone. */
import { parseArgs } from 'node:util'
import { isReceipt, verifyReceipt } from '../audit/receipt.ts'
import { UsageError, type Command } from './commands.ts'
import { tell } from './findings.ts'
import { fileOf } from './input.ts'
import { logKeys } from './log-keys.ts'

const usage = `Usage: parallax receipt <receipt.json> [options]

Checks, offline, that an exchange stands in the log: its leaves, their proofs and the signed root, and that the request and the
answer are those on record. A receipt is what GET /audit/v1/receipts/<record> gives to whoever asked.

  --vkey KEY          the log's key (name+id+key), from elsewhere than the gateway; again for a key that it had before
  --request FILE      the body that was sent, byte by byte
  --answer FILE       the body that came, byte by byte; of a stream, all of it

Exit codes: 0 everything that could be checked holds, 1 something does not, 2 called wrongly.
`

function parsed (path: string): unknown {
  try { return JSON.parse(fileOf('the receipt', path).toString()) } catch (error) {
    if (error instanceof UsageError) throw error
    return null
  }
}

export const receipt: Command = {
  usage,
  async run (args, { out }) {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { vkey: { type: 'string', multiple: true }, request: { type: 'string' }, answer: { type: 'string' } } })
    const [path, ...more] = positionals
    if (path === undefined || more.length > 0) throw new UsageError('Name one receipt.')
    const verifiers = logKeys(values.vkey)
    const found = parsed(path)
    if (!isReceipt(found)) throw new Error(`${path} is no receipt: wanted the reply of GET /audit/v1/receipts/<record>. ${typeof (found as { detail?: unknown } | null)?.detail === 'string' ? `It says: ${(found as { detail: string }).detail}` : ''}`.trim())
    tell(verifyReceipt(found, {
      verifiers,
      request: values.request === undefined ? undefined : fileOf('the request', values.request),
      answer: values.answer === undefined ? undefined : fileOf('the answer', values.answer),
    }), out)
  },
}
