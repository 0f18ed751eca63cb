import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import OpenAI from 'openai'
import t, { type Test } from 'tap'
import { runCommand } from '../../src/cli/commands.ts'
import { trainCommand } from '../../src/cli/train.ts'
import { eventLine } from '../../src/training/hosted.ts'
import { fineTuningService, type Script } from '../fixtures/fine-tuning-service.ts'

const ROWS = '{"messages":[{"role":"user","content":"What about taxes?"},{"role":"assistant","content":"They pay for schools. They should be fair."}]}\n'.repeat(10)

async function world (t: Test, script: Script, key = 'test-key') {
  const service = await fineTuningService(script)
  t.teardown(service.close)
  const folder = t.testdir({ 'rows.jsonl': ROWS, 'held.jsonl': ROWS })
  const said: string[] = []
  let waits = 0
  const command = trainCommand({
    root: folder,
    run: () => { throw new Error('no Python in this test') },
    client: (baseURL) => Promise.resolve(new OpenAI({ apiKey: key, baseURL, maxRetries: 0 })),
    wait: async () => { if (++waits > 50) throw new Error('looked too often') },
  })
  const context = { out: (text: string) => { said.push(text) }, err: (text: string) => { said.push(text) }, dataDir: () => folder, openLog: () => { throw new Error('no log in this test') } }
  const call = (...args: string[]) => command.run([...args, '--base-url', service.url], context)
  const start = (...more: string[]) => call('hosted', '--method', 'sft', '--model', 'small-1', '--training', join(folder, 'rows.jsonl'), ...more)
  return { service, folder, said, call, start, text: () => said.join('') }
}

t.test('a supervised job is uploaded, made, followed event by event, and names its model', async (t) => {
  const { service, folder, start, text } = await world(t, { steps: 5 })
  await start('--validation', join(folder, 'held.jsonl'), '--suffix', 'progressive', '--epochs', '2')
  t.match(service.jobs.get('ftjob-1')!.made, { model: 'small-1', training_file: 'file-1', validation_file: 'file-2', suffix: 'progressive', seed: 20261125, method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 2 } } } })
  t.match(service.files.get('file-1'), /name="purpose"[^]*fine-tune/)
  t.ok(service.files.get('file-1')!.includes(ROWS), 'the file is whole')
  const steps = text().split('\n').filter((line) => line.startsWith('step '))
  t.equal(steps.length, 5, 'every event once, though they come in pages and again with every look')
  t.equal(steps[0], 'step 1/5 [####................] train_loss 1.00')
  t.equal(steps[4], 'step 5/5 [####################] train_loss 0.200')
  t.match(text(), /tuned model: ft:small-1:parallax\n$/)
  t.match(JSON.parse(readFileSync(join(folder, 'rows.jsonl.job.json'), 'utf8')), { job: 'ftjob-1', training: { id: 'file-1', sha256: /^[0-9a-f]{64}$/ } })
})

t.test('a preference job asks for DPO with its beta', async (t) => {
  const { service, folder, call } = await world(t, { steps: 1 })
  await call('hosted', '--method', 'dpo', '--beta', '0.1', '--model', 'small-1', '--training', join(folder, 'rows.jsonl'))
  t.strictSame(service.jobs.get('ftjob-1')!.made['method'], { type: 'dpo', dpo: { hyperparameters: { beta: 0.1 } } })
})

t.test('called again, the job that was made is watched, and no second one is paid for', async (t) => {
  const { service, start, text } = await world(t, { steps: 2 })
  await start()
  await start()
  t.equal(service.jobs.size, 1)
  t.match(text(), /job ftjob-1 was made before/)
})

t.test('where its id could not be kept, no job is made', async (t) => {
  const { service, folder, start } = await world(t, { steps: 1 })
  await t.rejects(start('--kept', join(folder, 'rows.jsonl', 'job.json')), { message: /could not be kept .* so no job was made/ })
  t.equal(service.jobs.size, 0)
  t.equal(service.files.size, 0)
})

t.test('a file that the service refuses is told with its reason, and no job is made', async (t) => {
  const { service, folder, start } = await world(t, { steps: 1, file: { status: 'error', status_details: 'line 3 is no JSON' } })
  await t.rejects(start(), { message: /refused .*rows\.jsonl: line 3 is no JSON\. No job was made\./ })
  t.equal(service.jobs.size, 0)
  t.notOk(existsSync(join(folder, 'rows.jsonl.job.json')))
  t.notOk(existsSync(join(folder, 'rows.jsonl.job.json.part')))
})

t.test('a job whose validation fails ends with the service\'s code and place', async (t) => {
  const { start, text } = await world(t, { steps: 1, refuse: { code: 'invalid_training_file', message: 'Line 7 has no assistant message', param: 'training_file' } })
  await t.rejects(start(), { message: 'Job ftjob-1 failed: Line 7 has no assistant message, code invalid_training_file, in training_file. Nothing was trained: correct that and start again.' })
  t.match(text(), /invalid training file/)
})

t.test('a job is cancelled, is watched to that end, and cannot be cancelled twice', async (t) => {
  const { service, call, text } = await world(t, { steps: 1, endless: true })
  const client = new OpenAI({ apiKey: 'test-key', baseURL: service.url, maxRetries: 0 })
  service.files.set('file-9', '')
  const { id } = await client.fineTuning.jobs.create({ model: 'small-1', training_file: 'file-9' })
  await call('cancel', id)
  t.match(text(), /job ftjob-1 is cancelled/)
  await t.rejects(call('watch', id), { message: 'Job ftjob-1 was cancelled; there is no model.' })
  await t.rejects(call('cancel', id), { message: 'Job ftjob-1 has ended already: cancelled.' })
})

t.test('a service that stumbles is asked again; one that stays away is told of, with the way back', async (t) => {
  const stumbles = await world(t, { steps: 2, broken: [503, 429, 500] })
  await stumbles.start()
  t.match(stumbles.text(), /tuned model/)
  const away = await world(t, { steps: 2, broken: [503, 503, 503, 503, 503, 503] })
  await t.rejects(away.start(), { message: /did not answer 5 times.*"parallax train watch ftjob-1" looks again/ })
})

t.test('a wrong key, a wrong job and wrong options are told at once', async (t) => {
  const stranger = await world(t, { steps: 1 }, 'other-key')
  await t.rejects(stranger.start(), { message: /^401 Incorrect API key/ })
  t.equal(stranger.service.calls.length, 1, 'and not tried again')
  const { call, folder } = await world(t, { steps: 1 })
  await t.rejects(call('watch', 'ftjob-7'), { message: /^404 Could not find/ })
  await t.rejects(call('hosted', '--method', 'ppo'), { message: 'Wanted --method sft or --method dpo.' })
  await t.rejects(call('hosted', '--method', 'sft', '--model', 'm', '--training', join(folder, 'none.jsonl')), { message: /There is no file .*none\.jsonl/ })
  await t.rejects(call('hosted', '--method', 'sft', '--model', 'm', '--training', join(folder, 'rows.jsonl'), '--epochs', '1.5'), { message: '--epochs: wanted a whole number, found "1.5".' })
  await t.rejects(call('hosted', '--method', 'sft', '--beta', '1', '--model', 'm', '--training', join(folder, 'rows.jsonl')), { message: /--beta belongs/ })
})

t.test('an event without numbers is its message, with its level where that is no mere information', (t) => {
  t.equal(eventLine({ level: 'info', message: 'Files validated', data: null }), 'Files validated')
  t.equal(eventLine({ level: 'warn', message: 'Slow', data: { step: 1, total_steps: 0 } }), 'warn: Slow')
  t.end()
})

t.test('the command is listed and helps', async (t) => {
  const said: string[] = []
  const context = { out: (text: string) => { said.push(text) }, err: (text: string) => { said.push(text) }, dataDir: () => '', openLog: () => { throw new Error('no log in this test') } }
  t.equal(await runCommand(['train', '--help'], context), 0)
  t.match(said.join(''), /hosted +train at a service/)
  t.equal(await runCommand(['train', 'fly'], context), 2)
  t.match(said.join(''), /Unknown action "fly"\. Wanted one of: sft, dpo, gguf, all, hosted, watch, cancel/)
})
