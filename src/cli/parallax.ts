#!/usr/bin/env node
/** `parallax`: gives the commands the real world – arguments, output, configuration, the log's store – and sets the exit code. */
import { fileURLToPath } from 'node:url'
import { runCommand } from './commands.ts'

/** Relative paths of the configuration are taken from here, as server.ts does: both must mean the same data directory. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const settings = async (directory?: string) => {
  const config = (await import('../config.ts')).loadConfig(process.env, ROOT)
  return directory === undefined ? config : { ...config, dataDir: directory }
}

process.exitCode = await runCommand(process.argv.slice(2), {
  out: (text) => { process.stdout.write(text) },
  err: (text) => { process.stderr.write(text) },
  terminal: process.stderr.isTTY,
  env: process.env,
  // handed on unread: config.ts alone knows what is in it
  dataDir: async () => (await settings()).dataDir,
  settings,
  openLog: async (directory) => (await import('../audit/open.ts')).openAuditLog(await settings(directory)),
  async sharedKeys () {
    const { openSharedDatabase } = await import('../audit/open.ts')
    if ((await settings()).databaseUrl === undefined) return undefined
    return async (directory, audit) => {
      const shared = await openSharedDatabase(await settings(directory))
      const store = await (await import('../keys/open.ts')).openKeys(shared, directory, { audit })
      const close = store.close.bind(store)
      store.close = async () => {
        await close()
        await shared?.close()
      }
      return store
    }
  },
  async checkDefault (name) {
    const { loadPerspectives } = await import('../perspectives/registry.ts')
    ;(await import('../router/name.ts')).checkDefault(name, loadPerspectives((await settings()).perspectives))
  },
  offline: {
    async acceptRestore (directory, reason) { await (await (await import('../audit/open.ts')).openAuditLog(await settings(directory), { reason })).close() },
    rotateLogKey: async (directory, reason) => (await import('../audit/open.ts')).rotateLogKey(await settings(directory), reason),
  },
})
