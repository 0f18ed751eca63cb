import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { temporary } from '../helper.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

interface Lock { packages: Record<string, Record<string, unknown>> }

function complete (t: Test, manifest: unknown, lock: Lock): { code: number | null, text: string, lock: Lock } {
  const root = temporary(t)
  mkdirSync(join(root, 'setup'))
  cpSync(join(ROOT, 'setup', 'lock.js'), join(root, 'setup', 'lock.mjs'))
  writeFileSync(join(root, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify(lock))
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'setup', 'lock.mjs')], { encoding: 'utf8' })
  return { code: status, text: stdout + stderr, lock: JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock }
}

t.test('optional packages that the registry lacks are entered with their platform', async (t) => {
  const { code, lock } = complete(t, { overrides: { engine: { 'engine-linux-x64-cuda': 'npm:@scope/mac-x64@3.0.0' } } }, {
    packages: {
      '': { optionalDependencies: { 'tool-win32-arm64': '1.2.3' } },
      'node_modules/engine': { version: '3.0.0', resolved: 'registry', optionalDependencies: { 'engine-linux-x64-cuda': '3.0.0', 'engine-linux-armv7l': '3.0.0', 'engine-linux-x64': '3.0.0' } },
      'node_modules/engine-linux-x64': { version: '3.0.0', os: ['linux'], cpu: ['x64'] },
    },
  })
  t.equal(code, 0)
  t.same(lock.packages['node_modules/tool-win32-arm64'], { version: '1.2.3', cpu: ['arm64'], optional: true, os: ['win32'] })
  t.same(lock.packages['node_modules/engine-linux-x64-cuda'], { name: '@scope/mac-x64', version: '3.0.0', cpu: ['x64'], optional: true, os: ['darwin'] }, 'an alias keeps the package it stands for')
  t.same(lock.packages['node_modules/engine-linux-armv7l']?.['cpu'], ['arm'])
  t.notOk(lock.packages['node_modules/engine']?.['resolved'], 'no address of a registry stays')
  t.same(Object.keys(lock.packages), Object.keys(lock.packages).toSorted())
})

t.test('a name that tells no platform is not guessed', async (t) => {
  const { code, text, lock } = complete(t, {}, { packages: { '': { optionalDependencies: { 'odd-thing': '1.0.0' } } } })
  t.match({ code, text }, { code: 1, text: /odd-thing/ })
  t.notOk(lock.packages['node_modules/odd-thing'])
})

t.test('the committed lock is complete, names no registry, and agrees with package.json', async (t) => {
  const before = readFileSync(join(ROOT, 'package-lock.json'), 'utf8')
  const lock = JSON.parse(before) as Lock
  t.same(complete(t, JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')), lock).lock, lock)
  t.notMatch(before, /"resolved"/)
})
