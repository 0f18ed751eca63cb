/** A process of its own that opens the keys of a directory, makes one, says so, and holds them until it is killed. */
import { openKeyStore } from '../../src/keys/sqlite.ts'
import { memoryLog } from './memory-log.ts'

const [directory = '', leave] = process.argv.slice(2)
const store = await openKeyStore({ directory, audit: memoryLog() })
await store.create({ scopes: ['app'] }, null)
process.stdout.write('held\n')
if (leave) store.close()
else setInterval(() => {}, 60_000)
