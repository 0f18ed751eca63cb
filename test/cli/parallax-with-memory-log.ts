/** `parallax` with a log that forgets, except that its leaves are noted in leaves.ndjson; `--refuse` first makes it refuse. */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../../src/cli/commands.ts'
import { loadPerspectives } from '../../src/perspectives/registry.ts'
import { checkDefault } from '../../src/router/name.ts'
import { memoryLog } from '../keys/memory-log.ts'

const args = process.argv.slice(2)
const refuse = args[0] === '--refuse'
process.exitCode = await runCommand(refuse ? args.slice(1) : args, {
  out: (text) => { process.stdout.write(text) },
  err: (text) => { process.stderr.write(text) },
  dataDir: () => { throw new Error('the test names its own') },
  checkDefault: async (name) => { checkDefault(name, loadPerspectives([join(import.meta.dirname, '../fixtures/perspectives')])) },
  openLog: (directory) => {
    const log = memoryLog()
    if (refuse) log.mode = 'refuse'
    else log.before = (drafts) => appendFileSync(join(directory, 'leaves.ndjson'), drafts.map((draft) => `${JSON.stringify(draft)}\n`).join(''))
    return log
  },
})
