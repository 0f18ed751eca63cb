/**
 * Completes package-lock.json after `npm install`: `npm run lock`.
 *
 * A registry mirror may lack the packages of some platforms. `npm install` then silently leaves these optional packages out of the lock,
 * and `npm ci` refuses it: "Missing: X@1.0.0 from lock file". Each is entered here with the platform its name tells, so that npm knows it
 * and skips it where it does not fit. Without a digest, for there is no file to take it from: where it does fit, npm still compares the version.
 * Download addresses are removed: they would name one machine's registry.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const LOCK = fileURLToPath(new URL('../package-lock.json', import.meta.url))
const MANIFEST = fileURLToPath(new URL('../package.json', import.meta.url))

/** Words in package names -> npm's `os` and `cpu`, where they differ. */
const SYSTEMS = { mac: 'darwin', win: 'win32' }
const PROCESSORS = { armv7l: 'arm' }
const KNOWN_SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32']
const KNOWN_PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64']

function platformOf (name) {
  const words = name.split(/[-/_]/)
  const pick = (known, other) => words.map((word) => other[word] ?? word).find((word) => known.includes(word))
  return { os: pick(KNOWN_SYSTEMS, SYSTEMS), cpu: pick(KNOWN_PROCESSORS, PROCESSORS) }
}

/** "npm:@scope/name@1.2.3" -> its package and version; a plain version stands for the package itself. */
function target (name, wanted) {
  const alias = /^npm:(?<real>.+)@(?<version>[^@]+)$/.exec(wanted)?.groups
  return alias ? { real: alias.real, version: alias.version } : { real: name, version: wanted }
}

const lock = JSON.parse(readFileSync(LOCK, 'utf8'))
const { overrides = {} } = JSON.parse(readFileSync(MANIFEST, 'utf8'))
const unplaced = []
let added = 0

for (const [path, entry] of Object.entries(lock.packages)) {
  const owner = path.split('node_modules/').pop()
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    const place = `node_modules/${name}`
    if (lock.packages[place] || lock.packages[`${path}/${place}`]) continue
    const { real, version } = target(name, overrides[owner]?.[name] ?? range)
    const { os, cpu } = platformOf(real)
    // without a platform npm would install it everywhere, from a registry that has no such package
    if (!os) { unplaced.push(name); continue }
    lock.packages[place] = { ...(real !== name && { name: real }), version, ...(cpu && { cpu: [cpu] }), optional: true, os: [os] }
    added += 1
  }
}

for (const entry of Object.values(lock.packages)) if (!entry.link) delete entry.resolved
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a < b ? -1 : 1))
writeFileSync(LOCK, `${JSON.stringify(lock, null, 2)}\n`)

console.log(`package-lock.json: ${added} packages of other platforms added.`)
if (unplaced.length > 0) {
  console.error(`No platform can be read from these names, so "npm ci" may refuse the lock: ${unplaced.join(', ')}`)
  process.exitCode = 1
}
