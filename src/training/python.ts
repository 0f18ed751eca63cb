/**
 * The Python that trains: a virtual environment under .cache, made when it is first needed, and training/train.py run in it.
 * Never an install step of the gateway or of its tests. Knows nothing of what is trained.
 */
import { spawn } from 'node:child_process'
import { hash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'

/** Runs a program to its end, gives its lines as they come, and resolves with the exit code; rejects where it cannot start. */
export type Run = (program: string, args: readonly string[], told: (line: string) => void) => Promise<number>

export const run: Run = (program, args, told) => new Promise((resolve, reject) => {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const end = (): void => { child.kill('SIGTERM') }
  // a trainer that went on alone would hold its lock, and two cores
  process.once('exit', end)
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', told)
  child.once('error', reject)
  child.once('close', (code, signal) => {
    process.removeListener('exit', end)
    resolve(code ?? (signal === null ? 1 : 128))
  })
})

export class PythonError extends Error {
  override readonly name = 'PythonError'
}

const SYSTEM = ['python3.11', 'python3', 'python']
const VERSION = 'import sys; sys.exit(sys.version_info < (3, 11))'

async function systemPython (start: Run): Promise<string> {
  for (const program of SYSTEM) {
    try { if (await start(program, ['-c', VERSION], () => {}) === 0) return program } catch { /* not there: the next one */ }
  }
  throw new PythonError(`Training needs Python 3.11 or newer, and none of ${SYSTEM.join(', ')} is one: install it, or give --python.`)
}

/** The environment's Python; `python`: one that has the packages already. `say` hears what is done, for it takes minutes. */
export async function trainingPython (root: string, given: string | undefined, start: Run, say: (line: string) => void): Promise<string> {
  if (given !== undefined) return given
  const folder = join(root, '.cache/training-venv')
  const python = join(folder, 'bin/python')
  const requirements = join(root, 'training/requirements.txt')
  const wanted = hash('sha256', readFileSync(requirements))
  const mark = join(folder, 'installed')
  if (existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return python
  say('Training needs torch, transformers, PEFT and TRL, about 3 GB; they go into .cache/training-venv, once. No other command needs them.')
  mkdirSync(dirname(folder), { recursive: true })
  const steps: ReadonlyArray<readonly [string, readonly string[]]> = [
    // the interpreter is the mark of a whole environment; a half-made one is made again
    ...existsSync(python) ? [] : [[await systemPython(start), ['-m', 'venv', '--clear', folder]] as const],
    [python, ['-m', 'pip', 'install', '--quiet', '--requirement', requirements]],
  ]
  for (const [program, args] of steps) {
    const heard: string[] = []
    const code = await start(program, args, (line) => { heard.push(line) })
    if (code !== 0) throw new PythonError(`"${[program, ...args].join(' ')}" ended with ${code}:\n  ${heard.slice(-5).join('\n  ')}\nRun the command again when that is mended, or give --python with one that has training/requirements.txt.`)
  }
  writeFileSync(mark, wanted)
  return python
}
