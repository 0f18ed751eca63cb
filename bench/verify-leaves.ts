/** Makes an export of as many leaves as it is told, of exchanges with transcripts, and verifies it again and again as `parallax verify` does. A line of JSON for each time. */
import { createReadStream, createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { v7 as uuidv7 } from 'uuid'
import { exportLines } from '../src/audit/export.ts'
import { openSqliteLog } from '../src/audit/sqlite.ts'
import { verifyExport } from '../src/audit/verify.ts'

const [directory, leaves, rounds] = [process.argv[2]!, Number(process.argv[3]), Number(process.argv[4])]
const GROUP = 200
const REQUEST = Buffer.from(JSON.stringify({ model: 'progressive', messages: [{ role: 'user', content: 'What is your opinion on universal healthcare? '.repeat(4) }] }))
const ANSWER = Buffer.from(JSON.stringify({ object: 'chat.completion', choices: [{ index: 0, message: { role: 'assistant', content: 'An answer of a usual length, more or less. '.repeat(14) }, finish_reason: 'stop' }] }))
const FIELDS = { perspective: { id: 'progressive', mode: 'steerable', weights: { progressive: 1 }, draw: null }, model: 'smollm2-135m-instruct', adapter_sha256: 'a'.repeat(64) }

const log = await openSqliteLog({ directory })
for (let at = 0; at < leaves / 2; at += GROUP) {
  await Promise.all(Array.from({ length: GROUP }, (_, one) => log
    .open({ type: 'completion.begin', id: uuidv7(), key: `k_${one % 10}`, fields: FIELDS, payload: REQUEST, owner: { tenant: 't_1' } }, { deferMs: 10_000 })
    .end({ status: 'complete', fields: { ...FIELDS, tokens: [40, 160], finish: ['stop'], source: null }, answer: ANSWER })))
}
const file = join(directory, 'export.ndjson')
await pipeline(Readable.from(exportLines(log, { asOf: log.size() }, log.tree.checkpoint())), createWriteStream(file))
const { verifier } = log.tree
await log.close()

for (let round = 0; round < rounds; round++) {
  const started = performance.now()
  const before = process.cpuUsage()
  const found = await verifyExport(createInterface({ input: createReadStream(file), crlfDelay: Infinity }), { verifier })
  const { user, system } = process.cpuUsage(before)
  if (found.wrong.length > 0) throw new Error(found.wrong[0])
  process.stdout.write(`${JSON.stringify({ leaves: found.leaves, seconds: (performance.now() - started) / 1000, cpu: (user + system) / 1e6 })}\n`)
}
