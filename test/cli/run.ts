/** Runs a command line in a process of its own, as a person would, without blocking a server in the test. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export interface Ran { readonly code: number | null, readonly out: string, readonly err: string }

export const REAL = join(import.meta.dirname, '../../src/cli/parallax.ts')
export const WITH_MEMORY_LOG = join(import.meta.dirname, 'parallax-with-memory-log.ts')

export async function run (entry: string, args: readonly string[], options: { cwd?: string, env?: NodeJS.ProcessEnv } = {}): Promise<Ran> {
  const child = spawn(process.execPath, [entry, ...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  const [[code], out, err] = await Promise.all([once(child, 'exit') as Promise<[number | null]>, child.stdout.toArray(), child.stderr.toArray()])
  return { code, out: Buffer.concat(out as Buffer[]).toString(), err: Buffer.concat(err as Buffer[]).toString() }
}
