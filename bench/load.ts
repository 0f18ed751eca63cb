/** The load generator: a process of its own that carries out one job at a time. Raw sockets and requests made beforehand, so that it is not what is measured. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Connection, type Answer } from './connection.ts'
import { coresBusy, cpuSeconds } from './cpu-time.ts'
import { COUNTER_DIGITS, type LoadJob, type LoadResult } from './load-job.ts'

/** How long answers that are still under way at the end are waited for. */
const DRAIN_MS = 5_000
const TICK_MS = 1

let counter = 0

async function carryOut (job: LoadJob): Promise<LoadResult> {
  const open = new Set<Connection>()
  const idle: Connection[] = []
  const latencies: number[] = []
  const firsts: number[] = []
  let answersInAll = 0
  let failures = 0
  let firstFailure: string | null = null
  let events = 0
  let bodyBytes = 0
  let under = 0
  let measuring = false
  let going = true
  let over = false

  function ask (slot: { connection: Connection, bytes: Buffer }): void {
    if (job.counterAt !== null) slot.bytes.write(String(++counter).padStart(COUNTER_DIGITS, '0'), job.counterAt, 'latin1')
    under++
    slot.connection.send(slot.bytes, (answer) => { answered(slot, answer) })
  }

  function answered (slot: { connection: Connection, bytes: Buffer }, answer: Answer): void {
    under--
    if (over) return
    if (answer.ok) {
      answersInAll++
      if (measuring) {
        latencies.push(answer.doneAt - answer.sentAt)
        firsts.push(answer.firstAt - answer.sentAt)
        events += answer.events
        bodyBytes = answer.bytes
      }
    } else {
      failures++
      firstFailure ??= answer.status
    }
    if (slot.connection.closed) {
      open.delete(slot.connection)
      if (!going) return
      slot.connection = connect()
    }
    if (!going) return
    if (job.rate !== null) idle.push(slot.connection)
    // a refused connection must not become a busy loop
    else if (answer.ok) ask(slot)
    else setTimeout(() => { if (going) ask(slot) }, 10)
  }

  function connect (): Connection {
    const connection = new Connection(job.port)
    open.add(connection)
    return connection
  }
  const slot = () => ({ connection: idle.pop() ?? connect(), bytes: Buffer.from(job.request, 'latin1') })

  const start = performance.now()
  let pacing: NodeJS.Timeout | undefined
  if (job.rate === null) for (let at = 0; at < job.connections; at++) ask(slot())
  else {
    let sent = 0
    pacing = setInterval(() => {
      for (const due = Math.floor((performance.now() - start) / 1000 * job.rate!); sent < due; sent++) ask(slot())
    }, TICK_MS)
  }
  const read = () => ({ at: performance.now(), cpu: Object.entries(job.watch).map(([name, pid]) => [name, cpuSeconds(pid)] as const), cores: coresBusy(), own: process.cpuUsage() })

  for (const enough = job.rampAnswers ?? Infinity; performance.now() - start < job.rampMs && answersInAll < enough;) await sleep(Math.min(50, job.rampMs))
  const before = read()
  measuring = true
  await sleep(job.measureMs)
  const after = read()
  measuring = false
  const own = process.cpuUsage(before.own)
  await sleep(Math.min(job.rampMs, 100))
  going = false
  clearInterval(pacing)
  for (let waited = 0; under > 0 && waited < DRAIN_MS; waited += 10) await sleep(10)
  const unanswered = under
  over = true
  for (const connection of open) connection.close()
  return {
    answers: latencies.length,
    events,
    seconds: (after.at - before.at) / 1000,
    answersInAll,
    failures: failures + unanswered,
    firstFailure: firstFailure ?? (unanswered > 0 ? `no answer within ${DRAIN_MS} ms of the end` : null),
    latencies,
    firsts,
    bodyBytes,
    cpu: { ...Object.fromEntries(after.cpu.map(([name, seconds], at) => [name, seconds - before.cpu[at]![1]])), load: (own.user + own.system) / 1e6 },
    cores: after.cores.map((busy, core) => busy - (before.cores[core] ?? 0)),
  }
}

process.on('message', (job: LoadJob) => { void carryOut(job).then((result) => process.send!(result)) })
process.once('disconnect', () => { process.exit() })
