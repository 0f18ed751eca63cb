/** The bench's hold on the load generator's process. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { LoadJob, LoadResult } from './load-job.ts'
import { pinned } from './placement.ts'

export interface Loader {
  run (job: LoadJob): Promise<LoadResult>
  /** Whole answers that came from this port so far. */
  answersFrom (port: number): number
  stop (): Promise<void>
}

export async function startLoader (cores: readonly number[]): Promise<Loader> {
  const [command, args] = pinned(cores, process.execPath, [fileURLToPath(new URL('load.ts', import.meta.url))])
  // 'advanced' keeps arrays of numbers small on their way back
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' })
  await once(child, 'spawn')
  const answers = new Map<number, number>()
  return {
    answersFrom: (port) => answers.get(port) ?? 0,
    run: (job) => new Promise((resolve, reject) => {
      const gone = (code: number | null) => { reject(new Error(`the load generator ended with ${code}`)) }
      child.once('exit', gone)
      child.once('message', (message) => {
        child.off('exit', gone)
        const result = message as LoadResult
        answers.set(job.port, (answers.get(job.port) ?? 0) + result.answersInAll)
        resolve(result)
      })
      child.send(job)
    }),
    async stop () {
      if (child.exitCode !== null) return
      const gone = once(child, 'exit')
      child.disconnect()
      await gone
    },
  }
}
