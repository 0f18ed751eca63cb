/** The datasets' stages read one row at a time: ten times the rows in the same small heap, and the peak hardly moves. A million: `node bench/datasets.ts 1000000`. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { STAGES } from '../../src/datasets/stages.ts'

const BENCH = fileURLToPath(new URL('../../bench/datasets.ts', import.meta.url))
const [FEW, MANY] = [5_000, 50_000]
/** A row held as an object takes a kilobyte about: 45,000 more of them would be 45 MB at the least, in a heap that has 64. */
const MOST_MORE_MB = 40

t.test('memory does not grow with the rows, in any stage', { timeout: 600_000 }, async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, [BENCH, String(FEW), String(MANY)], { maxBuffer: 1 << 20 })
  const peaks = new Map([...stdout.matchAll(/^ *(\d+) rows +(\w+) +peak +(\d+) MB.* (\d+) rows out$/gm)].map(([, rows, name, peak, out]) => [`${rows} ${name}`, { peak: Number(peak), out: Number(out) }]))
  for (const { name } of STAGES) {
    const [few, many] = [peaks.get(`${FEW} ${name}`), peaks.get(`${MANY} ${name}`)]
    if (!few || !many) { t.fail(`${name} did not say its peak:\n${stdout}`); continue }
    t.ok(many.peak - few.peak <= MOST_MORE_MB, `${name}: ${few.peak} MB, then ${many.peak} MB`)
    t.ok(many.out >= few.out, `${name}: ${few.out} rows out, then ${many.out}`)
  }
})
