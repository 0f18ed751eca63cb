/** `npm run chaos [-- rounds]`: thirty rounds unless told otherwise; exit code 1 where an invariant broke. */
import { chaos } from './rounds.ts'

const { broken } = await chaos(Number(process.argv[2] ?? 30), (line) => { process.stdout.write(`${line}\n`) })
for (const { round, invariant, what } of broken.slice(0, 50)) process.stdout.write(`BROKEN in round ${round}: ${invariant}: ${what}\n`)
process.exitCode = broken.length > 0 ? 1 : 0
