/** A first start that is killed at a given moment. */
import { firstKeys } from '../../src/keys/first-keys.ts'
import { openKeyStore } from '../../src/keys/sqlite.ts'
import { memoryLog } from './memory-log.ts'

const [directory = '', moment] = process.argv.slice(2)
const die = (): void => { process.kill(process.pid, 'SIGKILL') }
const log = memoryLog()
if (moment === 'before the leaves') log.before = die
const append = log.append.bind(log)
if (moment === 'after the leaves') log.append = async (drafts) => { const receipts = await append(drafts); die(); return receipts }
const store = await openKeyStore({ directory, audit: log })
await firstKeys({
  directory,
  loopback: true,
  store: {
    find: (presented) => store.find(presented),
    list: () => store.list(),
    prepare: (requests, by) => {
      const prepared = store.prepare(requests, by)
      return { keys: prepared.keys, commit: async () => { await prepared.commit(); if (moment === 'after the keys') die() } }
    },
  },
})
