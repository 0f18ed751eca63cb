import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { temporary } from '../helper.ts'

const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url))

/** The lowest that runs our .ts files as they are: setup/packages.js asks for the same. */
const NODE_MAJOR = 24

const majorOf = (version: string): number => Number(/^v?(\d+)\./.exec(version)?.[1])

t.test('the tests run on Node 24 or newer', async (t) => {
  t.ok(majorOf(process.version) >= NODE_MAJOR, process.version)
})

t.test('npm\'s scripts run on the packaged Node 24 although the machine\'s own is older', async (t) => {
  const root = temporary(t)
  const old = join(root, 'old')
  mkdirSync(old)
  // says that it is Node 20, and runs npm all the same
  writeFileSync(join(old, 'node'), `#!/bin/sh\n[ "$1" = --version ] && { echo v20.0.0; exit; }\nexec '${process.execPath}' "$@"\n`)
  chmodSync(join(old, 'node'), 0o755)
  writeFileSync(join(root, 'package.json'), '{"scripts":{"which":"node --version"}}')
  const path = [old, ...process.env.PATH!.split(delimiter).filter((part) => !part.includes('node_modules'))].join(delimiter)
  // no NODE_OPTIONS: tap would load itself into npm
  const version = (): string => spawnSync('npm', ['run', '--silent', 'which'], { cwd: root, env: { PATH: path, HOME: root }, encoding: 'utf8' }).stdout
  t.equal(majorOf(version()), 20, 'without our packages it is the machine\'s own')
  symlinkSync(MODULES, join(root, 'node_modules'))
  t.equal(majorOf(version()), NODE_MAJOR)
})
