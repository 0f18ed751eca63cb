/**
 * The packages in node_modules: installs them when they are not those of package-lock.json, and takes out what this project never loads.
 * Two modes: "start" needs what the gateway runs on, "test" the developers' tools too.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { withLock } from './process-lock.js'

/** Written last and taken away first: it is there only when the installation beside it is whole. */
const STAMP = '.parallax.json'

/** The lowest Node that runs the gateway's .ts files and has node:sqlite without a flag. */
const NODE_MAJOR = 24

/** An installation that ended badly, with what to tell the user and how to exit. */
export class InstallError extends Error {
  constructor (message, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

const machine = `${process.platform}-${process.arch}`

const readJson = (...path) => JSON.parse(readFileSync(join(...path), 'utf8'))

const lockDigest = (root) => createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).digest('hex')

/** The tools of "test" include everything that "start" needs. */
export function isInstalled (root, mode) {
  try {
    const stamp = readJson(root, 'node_modules', STAMP)
    return stamp.lock === lockDigest(root) && stamp.machine === machine && (stamp.mode === mode || stamp.mode === 'test')
  } catch { return false }
}

/**
 * The npm that runs us, on the Node that runs it: a bare `npm` would take its Node from node_modules/.bin,
 * which the installation is about to replace.
 */
function npm (env) {
  const ours = /[\\/]npm-cli\.js$/.test(env.npm_execpath ?? '') && env.npm_node_execpath
  const windows = process.platform === 'win32'
  return ours ? { command: env.npm_node_execpath, first: [env.npm_execpath], shell: false } : { command: windows ? 'npm.cmd' : 'npm', first: [], shell: windows }
}

const outsideOf = (root, path = '') => path.split(delimiter).filter((part) => !part.startsWith(join(root, 'node_modules'))).join(delimiter)

function runNpm (root, env, args, include) {
  const { command, first, shell } = npm(env)
  return new Promise((settle, fail) => {
    const child = spawn(command, [...first, ...args], { cwd: root, env: { ...env, PATH: outsideOf(root, env.PATH) }, stdio: ['ignore', 'inherit', 'inherit'], shell })
    // a second npm beside one that survived us would write into the same directory
    child.once('spawn', () => { include(child.pid) })
    child.once('error', (error) => { fail(new InstallError(`npm cannot be run: ${error.message}. Install Node.js with npm, then try again.`, 127)) })
    child.once('exit', (code, signal) => { settle(signal ? 1 : code) })
  })
}

/**
 * Files that nothing here loads, 180 MB of them:
 * C headers, which only compiling an addon needs; llama.cpp's sources, which only building it here needs; its builds for other processors,
 * which npm installs because their package names every processor they can be built on; and source maps of other people's code.
 */
function prune (root) {
  const modules = join(root, 'node_modules')
  const remove = (...path) => { rmSync(join(modules, ...path), { recursive: true, force: true }) }
  for (const name of readdirSync(modules)) {
    if (/^node-(linux|win|bin)-/.test(name)) remove(name, 'include')
  }
  remove('node-llama-cpp', 'llama', 'gitRelease.bundle')
  const builds = join(modules, '@node-llama-cpp')
  for (const name of existsSync(builds) ? readdirSync(builds) : []) {
    if (!runsHere(name)) remove('@node-llama-cpp', name)
  }
  for (const path of readdirSync(modules, { withFileTypes: true, recursive: true })) {
    if (path.isFile() && path.name.endsWith('.map')) rmSync(join(path.parentPath ?? path.path, path.name))
  }
}

/** "linux-x64", "win-arm64", "mac-arm64-metal": node-llama-cpp's names for where a build runs. */
const runsHere = (name) => name.startsWith(`${{ darwin: 'mac', win32: 'win' }[process.platform] ?? process.platform}-${process.arch}`)

/** A packaged Node that does not run here (another C library) must not stand before one that does. */
async function checkNode (root) {
  const bin = join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node')
  if (existsSync(bin) && await exitCode(bin, ['--version']) === 0) return
  rmSync(bin, { force: true })
  const major = Number(process.versions.node.split('.')[0])
  if (major < NODE_MAJOR) throw new InstallError(`No packaged Node ${NODE_MAJOR} runs on this machine (${machine}), and the installed one is ${process.version}. Install Node ${NODE_MAJOR} or newer, then try again.`)
}

const exitCode = (command, args) => new Promise((settle) => {
  const child = spawn(command, args, { stdio: 'ignore', shell: process.platform === 'win32' })
  child.once('error', () => { settle(1) })
  child.once('exit', (code) => { settle(code) })
})

const fits = ({ os, cpu }) => (!os || os.includes(process.platform)) && (!cpu || cpu.includes(process.arch))

/**
 * Somebody ran `npm ci` or `npm install` themselves: npm's own record, written when it has ended, names all that `mode` needs.
 * Where a package is one of a pair for two C libraries, either may be absent.
 */
function isComplete (root, mode) {
  try {
    const there = readJson(root, 'node_modules', '.package-lock.json').packages
    return Object.entries(readJson(root, 'package-lock.json').packages).every(([path, entry]) => path === ''
      || (entry.dev && mode === 'start') || !fits(entry) || entry.libc
      || (there[path]?.version === entry.version && existsSync(join(root, path, 'package.json'))))
  } catch { return false }
}

/** Brings node_modules to what `mode` needs. Throws InstallError. */
export async function install (root, mode, env, say) {
  const waiting = (pid) => { say(`Another process${pid ? ` (${pid})` : ''} is installing the packages; waiting for it.`) }
  await withLock(join(root, '.cache', 'install.lock'), waiting, async (include) => {
    if (isInstalled(root, mode)) return
    const lock = lockDigest(root)
    const stamp = join(root, 'node_modules', STAMP)
    rmSync(stamp, { force: true })
    const found = ['test', 'start'].find((one) => isComplete(root, one))
    if (found !== 'test' && found !== mode) await runCi(root, mode, env, say, include)
    prune(root)
    await checkNode(root)
    writeFileSync(stamp, JSON.stringify({ lock, machine, mode: found === 'test' ? found : mode }))
  })
}

async function runCi (root, mode, env, say, include) {
  say(`Installing the packages${mode === 'test' ? ' and the developers\' tools' : ''} (once; about half a minute).`)
  const began = Date.now()
  // else an npm that is killed while it removes the old packages leaves a record of what is gone
  rmSync(join(root, 'node_modules', '.package-lock.json'), { force: true })
  // no package here needs its install script, and not running any is the safest; npm's warnings of an old Node say nothing, for another comes with the packages
  const which = mode === 'test' ? '--include=dev' : '--omit=dev'
  const code = await runNpm(root, env, ['ci', '--ignore-scripts', which, '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'], include)
  if (code !== 0) throw new InstallError(`The packages could not be installed: "npm ci" ended with ${code}; its own words are above. Check the access to the package registry, then run the same command again.`, code)
  say(`Installed in ${Math.round((Date.now() - began) / 1000)} s.`)
}
