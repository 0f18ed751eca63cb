#!/usr/bin/env node
/** `parallax`: gives the commands the real world – arguments, output, configuration, the log's store – and sets the exit code. */
import { runCommand } from './commands.ts'

process.exitCode = await runCommand(process.argv.slice(2), {
  out: (text) => { process.stdout.write(text) },
  err: (text) => { process.stderr.write(text) },
  // handed on unread: config.ts alone knows what is in it
  dataDir: async () => (await import('../config.ts')).loadConfig(process.env).dataDir,
  openLog: async (directory) => (await import('../audit/sqlite.ts')).openSqliteLog({ directory }),
})
