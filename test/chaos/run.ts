/** `npm run chaos [-- rounds] [--store sqlite|postgres]`: thirty rounds on each store unless told otherwise; exit code 1 where an invariant broke. */
import { parseArgs } from 'node:util'
import { NO_POSTGRES } from '../fixtures/postgres.ts'
import { chaos, type StoreName } from './rounds.ts'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { store: { type: 'string' } } })
const rounds = Number(positionals[0] ?? 30)
if (!(rounds > 0) || (values.store !== undefined && values.store !== 'sqlite' && values.store !== 'postgres')) {
  process.stderr.write('npm run chaos [-- rounds] [--store sqlite|postgres]\n')
  process.exit(2)
}
const STORES: readonly StoreName[] = ['sqlite', 'postgres']
for (const store of STORES.filter((one) => values.store === undefined || values.store === one)) {
  const outcome = await chaos(rounds, { store, tell: (line) => { process.stdout.write(`${line}\n`) } })
  if (outcome === null) process.stdout.write(`postgres: left out, for ${NO_POSTGRES}\n`)
  for (const { round, invariant, what } of outcome?.broken.slice(0, 50) ?? []) process.stdout.write(`BROKEN in round ${round}: ${invariant}: ${what}\n`)
  if (outcome && outcome.broken.length > 0) process.exitCode = 1
}
