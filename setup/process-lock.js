/**
 * One at a time among processes that share a directory: the others wait, and a holder that died is replaced. Knows nothing of what is done meanwhile.
 *
 * Who holds it stands in the lock file. On one machine a holder is gone when its process is; from another machine or container
 * (a shared volume) its process cannot be seen, so a holder touches its file and is gone when it stops doing so.
 */
import { randomUUID } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const TOUCH_MS = 2_000
/** Many missed touches: a machine that is merely busy must not lose its lock. */
const SILENT_MS = 30_000
const POLL_MS = 200

/** When a process began, which tells it from a later one with the same number. Only Linux says so cheaply: null elsewhere, and for one that has ended. */
function began (pid) {
  try {
    // fields 3 (state) and 22 (start); the name in field 2 may contain spaces, so count from its closing bracket
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop().split(' ')
    // a zombie has ended, but its number is not free until its parent asks
    return fields[0] === 'Z' ? null : fields[19]
  } catch { return null }
}

const identify = (pid) => ({ pid, start: began(pid) })

function isAlive ({ pid, start }) {
  try { process.kill(pid, 0) } catch (error) { if (error.code === 'ESRCH') return false }
  return start === null || began(pid) === start
}

/** The holder that the file names; null when there is none, or none can be read. */
function holder (path) {
  try {
    const text = readFileSync(path, 'utf8')
    const age = Date.now() - statSync(path).mtimeMs
    let owner = null
    try { owner = JSON.parse(text) } catch { /* its writer was killed before a byte was there: age decides */ }
    const alive = owner?.host === hostname() ? owner.processes.find(isAlive) : undefined
    const gone = owner?.host === hostname() ? alive === undefined : age > SILENT_MS
    return { text, pid: (alive ?? owner?.processes[0])?.pid, gone }
  } catch (error) {
    if (error.code === 'ENOENT') return null
    throw error
  }
}

/** The file comes into being with its content, by a link: a reader never finds it half written. */
function take (path, text) {
  const draft = `${path}.${randomUUID()}`
  writeFileSync(draft, text)
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    // a file system without hard links
    try { writeFileSync(path, text, { flag: 'wx' }); return true } catch (second) { if (second.code === 'EEXIST') return false; throw second }
  } finally { rmSync(draft, { force: true }) }
}

/** Takes a dead holder's file away. Of several who try, one gets it; whoever finds they took a living holder's puts it back. */
function clear (path, text) {
  const aside = `${path}.${randomUUID()}`
  try {
    renameSync(path, aside)
    if (readFileSync(aside, 'utf8') !== text) linkSync(aside, path)
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error
  } finally { rmSync(aside, { force: true }) }
}

/**
 * Runs `work` while no other process holds `path`. `onWait(pid)` is called once when it has to wait; what `work` saw before must then be looked at again.
 * `work` gets a function to be told of each child process that must not outlive the lock: when we are killed and the child is not, others wait for the child.
 */
export async function withLock (path, onWait, work) {
  const token = randomUUID()
  const processes = [identify(process.pid)]
  const text = () => JSON.stringify({ token, host: hostname(), processes })
  mkdirSync(dirname(path), { recursive: true })
  let told = false
  while (!take(path, text())) {
    const other = holder(path)
    if (other === null) continue
    if (other.gone) { clear(path, other.text); continue }
    if (!told) onWait(other.pid)
    told = true
    await sleep(POLL_MS)
  }
  const include = (pid) => {
    processes.push(identify(pid))
    const draft = `${path}.${token}`
    writeFileSync(draft, text())
    renameSync(draft, path)
  }
  const touch = setInterval(() => { try { utimesSync(path, new Date(), new Date()) } catch { /* gone: someone cleared the directory, and nothing is to be done about it */ } }, TOUCH_MS)
  try { return await work(include) } finally {
    clearInterval(touch)
    if (holder(path)?.text.includes(token)) rmSync(path, { force: true })
  }
}
