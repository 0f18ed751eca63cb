/** CPU seconds that a process with its threads and children has used, and how busy each core was: read from /proc, so Linux only. */
import { readFileSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** USER_HZ: 100 on every Linux that Node runs on; utime and stime are scaled to it from the scheduler's nanoseconds. */
const TICKS_A_SECOND = 100

function ownSeconds (pid: number): number {
  // the name in parentheses may hold spaces; utime and stime are the 12th and 13th fields after it
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}

function childrenOf (pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter((text) => text !== '').map(Number))
}

/** Seconds of each thread by its name as the kernel knows it; the process's first thread is "main". */
export function threadSeconds (pid: number): Map<string, number> {
  const seconds = new Map<string, number>()
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
      const name = thread === String(pid) ? 'main' : `${text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'))} ${thread}`
      seconds.set(name, (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND)
    } catch { /* the thread has ended meanwhile */ }
  }
  return seconds
}

/** 0 for a process that is gone, and everywhere but on Linux. */
export function cpuSeconds (pid: number): number {
  try {
    return ownSeconds(pid) + childrenOf(pid).reduce((sum, child) => sum + cpuSeconds(child), 0)
  } catch { return 0 }
}

export const cpuTimeKnown = (): boolean => cpuSeconds(process.pid) > 0

/** Seconds each core has been busy, with whatever and whosever. */
export function coresBusy (): number[] {
  try {
    return readFileSync('/proc/stat', 'utf8').split('\n').filter((line) => /^cpu\d/.test(line)).map((line) => {
      const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(/\s+/).slice(1).map(Number)
      return (user + nice + system + irq + softirq + steal) / TICKS_A_SECOND
    })
  } catch { return Array.from({ length: availableParallelism() }, () => 0) }
}
