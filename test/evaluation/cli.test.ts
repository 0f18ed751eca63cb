import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { temporary } from '../helper.ts'
import { ROOT } from './evaluating.ts'
import { fakeEndpoint, plainSpoken } from './fake-endpoint.ts'

async function parallax (...args: string[]): Promise<{ code: number, out: string, err: string }> {
  const env = { ...process.env, PARALLAX_MODEL: 'none' }
  return promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'src/cli/parallax.ts'), 'evaluate', ...args], { env, cwd: ROOT, timeout: 120_000, maxBuffer: 1 << 26 })
    .then(({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }), (error: { code: number, stdout: string, stderr: string }) => ({ code: error.code, out: error.stdout, err: error.stderr }))
}

t.test('a quick evaluation of an endpoint writes a report that a card can not be made of', async (t) => {
  const fake = await fakeEndpoint(t, plainSpoken, ['base-x', 'A', 'B'])
  const folder = temporary(t)
  const places = ['--reports', join(folder, 'reports'), '--work', join(folder, 'work')]
  const done = await parallax('run', '--version', '1.0', '--quick', '--base-url', fake.url, '--model', 'baseline=base-x', '--model', 'progressive=A', '--model', 'conservative=B', ...places)
  // the fake knows its sides by other names: it takes none
  t.equal(done.code, 0, done.err)
  t.match(done.out, /MEASURE +BASELINE +PROGRESSIVE +CONSERVATIVE[\s\S]*report\.html/)
  t.same(readdirSync(join(folder, 'reports/1.0')).toSorted(), ['report.html', 'report.json', 'run.json'])
  t.notMatch(readFileSync(join(folder, 'reports/1.0/report.json'), 'utf8'), new RegExp(`${folder}|127\\.0\\.0\\.1`), 'neither paths nor addresses')
  const card = await parallax('card', '1.0', '--reports', join(folder, 'reports'), '--perspectives', folder)
  t.equal(card.code, 2)
  t.match(card.err, /quick evaluation: too few items/)

  t.test('of a full one the cards are written, all of them or none', async (t) => {
    const report = join(folder, 'reports/1.0/report.json')
    writeFileSync(report, JSON.stringify({ ...JSON.parse(readFileSync(report, 'utf8')), mode: 'full' }))
    for (const id of ['progressive', 'conservative']) { mkdirSync(join(folder, id)); writeFileSync(join(folder, id, 'card.md'), '# X\n\n## Limits\n\nl\n') }
    const refused = await parallax('card', '1.0', '--reports', join(folder, 'reports'), '--perspectives', folder)
    t.match(refused, { code: 2, err: /no card of baseline.*Nothing was written/s })
    t.notMatch(readFileSync(join(folder, 'progressive/card.md'), 'utf8'), 'Evaluation')
    mkdirSync(join(folder, 'baseline'))
    writeFileSync(join(folder, 'baseline/card.md'), '# X\n')
    t.equal((await parallax('card', '1.0', '--reports', join(folder, 'reports'), '--perspectives', folder)).code, 0)
    for (const id of ['progressive', 'conservative', 'baseline']) t.match(readFileSync(join(folder, id, 'card.md'), 'utf8'), /## Evaluation\n\nBy `parallax evaluate`/)
  })
})

t.test('what was called wrongly is told with what was wanted, and nothing is written', async (t) => {
  const folder = temporary(t)
  const places = ['--reports', join(folder, 'reports'), '--work', join(folder, 'work')]
  for (const [args, why] of [
    [[], /action is missing.*run, judge, card/s], [['walk'], /Unknown action "walk"/], [['run', ...places], /--version.*got none/], [['run', '--version', '../x', ...places], /--version/],
    [['run', '--version', '1', '--concurrency', '0', ...places], /--concurrency from 1 to 64/], [['run', '--version', '1', '--model', 'nobody=x', ...places], /--model <name>=<model>/],
    [['run', '--version', '1', '--left', 'baseline', ...places], /three different names/], [['run', '--version', '1', '--judge-base-url', 'http://127.0.0.1:1', ...places], /--judge-model as well/],
    [['run', '--version', '1', '--base-url', 'nonsense', ...places], /Wanted --base-url as an address .*got "nonsense"/], [['run', '--version', '1', '--recipe', join(folder, 'none'), ...places], /Cannot read the recipe, .*there is no such file/], [['run', '--version', '1', '--key-file', join(folder, 'none'), '--base-url', 'http://127.0.0.1:1', ...places], /Cannot read the key/],
    [['card'], /one version/], [['card', '9', '--reports', folder], /Cannot read the report, .*report\.json: there is no such file/],
  ] as const) {
    const { code, err } = await parallax(...args)
    t.equal(code, 2, `${args.join(' ')}`)
    t.match(err, why)
  }
  t.equal(existsSync(join(folder, 'reports')), false)
  t.match((await parallax('run', '--help')).out, /--quick[\s\S]*--training/)
})

t.test('without a model the gateway that it starts says so, and is gone afterwards', async (t) => {
  const folder = temporary(t)
  const { code, err } = await parallax('run', '--version', '1', '--quick', '--reports', join(folder, 'reports'), '--work', join(folder, 'work'))
  t.equal(code, 1)
  t.match(err, /The perspective "\w+" cannot answer|cannot be started/)
  t.equal(existsSync(join(folder, 'reports')), false)
})
