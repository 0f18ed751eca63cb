import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError, loadConfig } from '../src/config.ts'
import { unknownVariables } from '../src/unknown-variables.ts'
import { temporary } from './helper.ts'

const NO_MODEL = { PARALLAX_MODEL: 'none' }

function problems (env: Record<string, string>, root = '/nowhere'): readonly string[] {
  try { loadConfig({ ...NO_MODEL, ...env }, root) } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

t.test('with nothing set it listens on this machine alone, port 3000, and keeps its data beside the code', async (t) => {
  const config = loadConfig(NO_MODEL, '/srv/parallax')
  t.match(config, { host: '127.0.0.1', port: 3000, dataDir: '/srv/parallax/data', loopback: true, perspectives: ['/srv/parallax/perspectives'] })
  t.ok('missing' in config.model && /PARALLAX_MODEL/.test(config.model.missing), 'a missing model names the remedy')
})

t.test('the environment wins over the file, and the file over the defaults', async (t) => {
  const file = join(temporary(t), 'parallax.json')
  writeFileSync(file, JSON.stringify({ port: 4000, provider: 'The file', limits: { messages: 7 } }))
  const config = loadConfig({ ...NO_MODEL, PARALLAX_CONFIG: file, PORT: '5000' })
  t.match(config, { port: 5000, provider: 'The file', limits: { messages: 7, choices: 8 } })
})

t.test('every mistake is reported at once, each with the variable or member that holds it', async (t) => {
  const file = join(temporary(t), 'parallax.json')
  writeFileSync(file, JSON.stringify({ colour: 'red', experts: { progressive: { wire: 'openai', baseUrl: 'ftp://x', model: '' } } }))
  const found = problems({ PARALLAX_CONFIG: file, PORT: 'eighty', LOG_LEVEL: 'loud', PARALLAX_ENGINE_THREADS: '-1' })
  for (const word of [/^PORT: wanted a number; it is "eighty"$/, /^LOG_LEVEL: /, /^PARALLAX_ENGINE_THREADS: /, /experts\.progressive\.baseUrl: .*http/, /experts\.progressive\.model/, /colour/]) {
    t.ok(found.some((line) => word.test(line)), `${word} in:\n${found.join('\n')}`)
  }
})

t.test('a variable with our prefix that nothing reads is a mistake beside the others, and those that somebody reads are none', async (t) => {
  t.match(problems({ PORT: 'eighty', PARALLAX_REQUEST_PER_MINUTE: '60', PARALLAX_FOO: '1' }), [/^PORT: /, /^PARALLAX_REQUEST_PER_MINUTE: nothing reads a variable of this name/, /^PARALLAX_FOO: .*docs\/operations\.md/])
  const file = join(temporary(t), 'parallax.json')
  writeFileSync(file, JSON.stringify({ experts: { progressive: { wire: 'openai', baseUrl: 'http://127.0.0.1:1/v1', model: 'm', apiKeyEnv: 'PARALLAX_EXPERT_A' }, conservative: { wire: 'openai', model: 'm', endpoints: [{ name: 'east', baseUrl: 'http://127.0.0.1:1/v1', apiKeyEnv: 'PARALLAX_EXPERT_B' }] } } }))
  t.same(problems({
    PARALLAX_CONFIG: file, PARALLAX_EXPERT_A: 'a', PARALLAX_EXPERT_B: 'b',
    PARALLAX_KEY: 'k', PARALLAX_ADMIN_KEY: 'k', PARALLAX_AUDITOR_KEY: 'k', PARALLAX_JUDGE_KEY: 'k', PARALLAX_FETCH_MODEL: '1', PARALLAX_TEST_PYTHON: 'python3', PARALLAX_CACHE: '/cache',
    PARALLAX_SERVICE_HOST: '10.0.0.1', PARALLAX_SERVICE_PORT_HTTP: '80', PARALLAX_PORT: 'tcp://10.0.0.1:80', PARALLAX_DB_PORT_5432_TCP_ADDR: '10.0.0.2', PARALLAX_EMPTY: '',
  }), [])
  t.match(problems({ PARALLAX_PORT: '3001' }), [/^PARALLAX_PORT: /])
})

t.test('every variable with our prefix that the repository names is one that somebody reads', async (t) => {
  const root = join(import.meta.dirname, '..')
  const texts = globSync(['{src,setup,docs,bench,openapi,.ci}/**/*', 'README.md', 'Dockerfile', 'compose.yaml', 'package.json'], { cwd: root, withFileTypes: true }).filter((one) => one.isFile()).map((one) => readFileSync(join(one.parentPath, one.name), 'utf8'))
  // one that ends with an underscore stands for several
  const names = new Set(texts.join('\n').match(/\bPARALLAX_[A-Z_]*[A-Z]\b/g))
  t.ok(names.size > 30)
  t.same(unknownVariables(Object.fromEntries([...names].map((name) => [name, 'x'])), [...readFileSync(join(root, 'src/config.ts'), 'utf8').match(/\bPARALLAX_[A-Z_]*[A-Z]\b/g)!], {}), [])
})

t.test('a file that is missing, or is not a JSON object, is named', async (t) => {
  t.match(problems({ PARALLAX_CONFIG: 'absent.json' }), [/cannot read .*absent\.json/])
  const file = join(temporary(t), 'list.json')
  writeFileSync(file, '[]')
  t.match(problems({ PARALLAX_CONFIG: file }), [/wanted a JSON object/])
})

t.test('an upstream\'s key can come from the environment, and a variable that is not set is a mistake', async (t) => {
  const file = join(temporary(t), 'parallax.json')
  writeFileSync(file, JSON.stringify({ experts: { conservative: { wire: 'openai', baseUrl: 'http://127.0.0.1:1/v1', model: 'm', apiKeyEnv: 'UPSTREAM_KEY' } } }))
  t.equal(loadConfig({ ...NO_MODEL, PARALLAX_CONFIG: file, UPSTREAM_KEY: 'abc' }).experts['conservative']?.endpoints[0]?.apiKey, 'abc')
  t.match(problems({ PARALLAX_CONFIG: file }), [/UPSTREAM_KEY/])
})

t.test('an address that others can reach is not called loopback', async (t) => {
  for (const [host, loopback] of [['0.0.0.0', false], ['::', false], ['192.168.1.5', false], ['localhost', true], ['127.8.8.8', true], ['::1', true]] as const) {
    t.equal(loadConfig({ ...NO_MODEL, HOST: host }).loopback, loopback, host)
  }
})

t.test('nobody is limited unless the operator says so; a limit is a whole number from 1', async (t) => {
  t.same(loadConfig(NO_MODEL).quota, { requestsPerMinute: null, tokensPerMinute: null, streams: null, tokensPerDay: null })
  const file = join(temporary(t), 'parallax.json')
  writeFileSync(file, JSON.stringify({ quota: { streams: 4, tokensPerDay: null }, limits: { completionTokens: 256 } }))
  const env = { PARALLAX_CONFIG: file, PARALLAX_REQUESTS_PER_MINUTE: '60', PARALLAX_TOKENS_PER_MINUTE: '90000', PARALLAX_TOKENS_PER_DAY: '1000000' }
  t.match(loadConfig({ ...NO_MODEL, ...env }), { quota: { requestsPerMinute: 60, tokensPerMinute: 90_000, streams: 4, tokensPerDay: 1_000_000 }, limits: { completionTokens: 256 } })
  t.match(problems({ PARALLAX_STREAMS: '0', PARALLAX_REQUESTS_PER_MINUTE: '1.5', PARALLAX_TOKENS_PER_DAY: 'many' }), [/^PARALLAX_REQUESTS_PER_MINUTE: /, /^PARALLAX_STREAMS: .*1/, /^PARALLAX_TOKENS_PER_DAY: /])
})

t.test('answers are kept for whoever comes again for a day, or as long as the operator says', async (t) => {
  t.match(loadConfig(NO_MODEL).idempotency, { ttlSeconds: 86_400, bytes: 64 * 1024 * 1024 })
  t.equal(loadConfig({ ...NO_MODEL, PARALLAX_IDEMPOTENCY_TTL: '600' }).idempotency.ttlSeconds, 600)
  t.match(problems({ PARALLAX_IDEMPOTENCY_TTL: '59' }), [/^PARALLAX_IDEMPOTENCY_TTL: .*60/])
})

t.test('no election window is open unless it is configured, and one that cannot be is named', async (t) => {
  const load = (windows: unknown[]) => {
    const file = join(temporary(t), 'parallax.json')
    writeFileSync(file, JSON.stringify({ policy: { electionWindows: windows } }))
    return loadConfig({ ...NO_MODEL, PARALLAX_CONFIG: file })
  }
  t.same(loadConfig(NO_MODEL).policy.electionWindows, [])
  const window = { jurisdiction: 'Testland', from: '2026-10-01', to: '2026-11-03' }
  t.same(load([window]).policy.electionWindows, [{ ...window, candidates: [] }])
  t.throws(() => load([{ ...window, to: '2026-09-01' }, { ...window, from: 'soon' }, { ...window, candidates: ['Ann<b>'] }]), { message: /(?=[^]*0\.to: ends before it begins)(?=[^]*1\.from: wanted a date)(?=[^]*2\.candidates\.0: wanted a name)/ })
})

t.test('anchors are places outside of the data directory; the environment adds one to those of the file', async (t) => {
  const file = join(temporary(t), 'parallax.json')
  const vkey = 'witness.example/go+116db3fb+BIV/haxfkMt3XWwuNNzD4nxNmiJNtANcJrtFO+x5/dUR'
  const write = (...anchors: object[]) => { writeFileSync(file, JSON.stringify({ audit: { anchors } })) }
  write({ to: 'file', path: '../kept/anchors', everySeconds: 60 }, { to: 'url', url: 'https://keeper.example/log' }, { to: 'witness', url: 'https://witness.example/go', vkey })
  const env = { ...NO_MODEL, PARALLAX_CONFIG: file }
  t.same(loadConfig(NO_MODEL).audit.anchors, [])
  t.same(loadConfig({ ...env, PARALLAX_ANCHOR_FILE: 'anchors' }, '/srv/parallax').audit.anchors, [
    { to: 'file', path: '/srv/kept/anchors', everySeconds: 60 },
    { to: 'url', url: 'https://keeper.example/log', method: 'POST', everySeconds: 3600 },
    { to: 'witness', url: 'https://witness.example/go', vkey, everySeconds: 3600 },
    { to: 'file', path: '/srv/parallax/anchors', everySeconds: 3600 },
  ])
  t.equal(loadConfig({ ...NO_MODEL, PARALLAX_ANCHOR_FILE: '/mnt/anchors' }).audit.anchors.length, 1)

  write({ to: 'pigeon' }, { to: 'file', path: 'x', everySeconds: 9 }, { to: 'url', url: 'https://user:pass@keeper.example/' }, { to: 'witness', url: 'ftp://x', vkey: vkey.replace('116db3fb', '116eb3fb') }, { to: 'file', path: 'x', everySeconds: 86_401 })
  const found = problems({ PARALLAX_CONFIG: file })
  for (const word of [/anchors\.0\.to: /, /anchors\.1\.everySeconds: .*10/, /anchors\.2\.url: wanted an http/, /anchors\.3\.url: wanted/, /anchors\.3\.vkey: .*key id 116eb3fb, its key has 116db3fb/, /anchors\.4\.everySeconds: .*86400/]) {
    t.ok(found.some((line) => word.test(line)), `${word} in:\n${found.join('\n')}`)
  }
  write({ to: 'witness', url: 'https://witness.example', vkey: 'witness.example' })
  t.match(problems({ PARALLAX_CONFIG: file }), [/anchors\.0\.vkey: .*name\+keyid\+key/])
  for (const path of ['data/anchors', 'data/deep/er/anchors', 'data', 'data/..anchors']) t.match(problems({ PARALLAX_ANCHOR_FILE: path }, '/srv'), [/lies in the data directory/], path)
  t.same(problems({ PARALLAX_ANCHOR_FILE: 'data-anchors' }, '/srv'), [])
  for (const audit of [7, [], null, { anchors: {} }, { anchors: 'x' }]) {
    writeFileSync(file, JSON.stringify({ audit }))
    t.ok(problems({ PARALLAX_CONFIG: file, PARALLAX_ANCHOR_FILE: 'x' }).length > 0 || audit === null, JSON.stringify(audit))
  }
})
