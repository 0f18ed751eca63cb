import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { trainCommand } from '../../src/cli/train.ts'
import { PythonError, run as runProgram, trainingPython, type Run } from '../../src/training/python.ts'

/** What was started, and what it does: the programs themselves are the edge of this test. */
function fakePython (answer: (args: readonly string[]) => { readonly code?: number, readonly lines?: readonly string[] } = () => ({})) {
  const started: string[][] = []
  const run: Run = async (program, args, told) => {
    started.push([program, ...args])
    const { code = 0, lines = [] } = answer([program, ...args])
    for (const line of lines) told(line)
    return code
  }
  return { started, run }
}

function world (t: Test, python: ReturnType<typeof fakePython>) {
  const root = t.testdir({ training: { 'requirements.txt': 'torch==1\n' }, 'two.json': JSON.stringify({ sides: { progressive: 'left', conservative: 'right' } }), 'none.json': '{}', 'bad.json': '{' })
  const said: string[] = []
  const command = trainCommand({ root, run: python.run, client: () => { throw new Error('no service in this test') }, wait: async () => {} })
  const context = { out: (text: string) => { said.push(text) }, err: (text: string) => { said.push(text) }, dataDir: () => root, openLog: () => { throw new Error('no log in this test') } }
  return { root, said, call: (...args: string[]) => command.run(args, context) }
}

const perspective = (args: readonly string[]): string => args[args.indexOf('--perspective') + 1]!

t.test('both sides are trained with the same arguments but their name', async (t) => {
  const python = fakePython((args) => ({ lines: [`step 10 of ${perspective(args)}`] }))
  const { root, said, call } = world(t, python)
  await call('all', '--config', join(root, 'two.json'), '--data', join(root, 'rows'), '--python', '/opt/py')
  const [one, other] = python.started
  t.equal(python.started.length, 2)
  t.strictSame(one, ['/opt/py', '-u', join(root, 'training/train.py'), 'all', '--config', join(root, 'two.json'), '--data', join(root, 'rows'), '--out', join(root, 'training/work/two'), '--perspective', 'progressive'])
  t.strictSame(other, one!.with(-1, 'conservative'))
  t.equal(said.join(''), 'step 10 of progressive\nstep 10 of conservative\n')
})

t.test('one side is trained where one is named, afresh where that is wished', async (t) => {
  const python = fakePython()
  const { root, call } = world(t, python)
  await call('dpo', '--config', join(root, 'two.json'), '--data', 'd', '--perspective', 'conservative', '--feedback', join(root, 'said'), '--fresh', '--python', 'py')
  t.equal(python.started.length, 1)
  t.match(python.started[0]!.join(' '), new RegExp(`train\\.py dpo .*--feedback ${join(root, 'said')} --fresh --perspective conservative$`))
  await call('gguf', '--config', join(root, 'two.json'), '--perspective', 'conservative', '--python', 'py')
  t.match(python.started[1]!.join(' '), `--data ${join(root, 'datasets/work/export')} --out ${join(root, 'training/work/two')}`, 'without a word, the places that the other commands use')
})

t.test('what the trainer says last is the error, and the other side is not begun', async (t) => {
  const python = fakePython(() => ({ code: 1, lines: ['train.py: step 7: the loss is nan. The batch\'s rows: p1', 'bye'] }))
  const { root, call } = world(t, python)
  await t.rejects(call('sft', '--config', join(root, 'two.json'), '--data', 'd', '--python', 'py'), { message: 'Training progressive ended with 1: step 7: the loss is nan. The batch\'s rows: p1' })
  t.equal(python.started.length, 1)
})

t.test('at once, one side\'s failure does not break the other off', async (t) => {
  const python = fakePython((args) => perspective(args) === 'progressive' ? { code: 1, lines: ['train.py: no'] } : { lines: ['done'] })
  const { root, said, call } = world(t, python)
  await t.rejects(call('all', '--at-once', '--config', join(root, 'two.json'), '--data', 'd', '--python', 'py'), { message: 'Training progressive ended with 1: no' })
  t.equal(python.started.length, 2)
  t.match(said.join(''), 'done')
})

t.test('the environment is made once, and again when the requirements change', async (t) => {
  const python = fakePython(([program, , , , folder]) => {
    if (program === 'python3.11' && folder !== undefined) {
      mkdirSync(join(folder, 'bin'), { recursive: true })
      writeFileSync(join(folder, 'bin/python'), '')
    }
    return {}
  })
  const { root, said, call } = world(t, python)
  const train = (): Promise<void> => call('sft', '--config', join(root, 'two.json'), '--data', 'd', '--perspective', 'progressive')
  await train()
  const venv = join(root, '.cache/training-venv')
  t.strictSame(python.started.map((each) => each.slice(0, 3)), [['python3.11', '-c', 'import sys; sys.exit(sys.version_info < (3, 11))'], ['python3.11', '-m', 'venv'], [join(venv, 'bin/python'), '-m', 'pip'], [join(venv, 'bin/python'), '-u', join(root, 'training/train.py')]])
  t.match(said.join(''), /about 3 GB/)
  await train()
  t.equal(python.started.length, 5, 'the second time the trainer alone')
  writeFileSync(join(root, 'training/requirements.txt'), 'torch==2\n')
  await train()
  t.strictSame(python.started.slice(5).map((each) => each[2]), ['pip', join(root, 'training/train.py')])
})

t.test('an installation that fails is told with its last lines and leaves no mark', async (t) => {
  const python = fakePython((args) => args.includes('pip') ? { code: 1, lines: ['no space left'] } : {})
  const { root, call } = world(t, python)
  await t.rejects(call('sft', '--config', join(root, 'two.json'), '--data', 'd'), { message: /pip install .*ended with 1:\n {2}no space left\nRun the command again/ })
  t.notOk(existsSync(join(root, '.cache/training-venv/installed')))
})

t.test('without a Python that is new enough, the versions that were looked for are named', async (t) => {
  const absent: Run = async (program) => { if (program === 'python3') return 1; throw Object.assign(new Error('spawn'), { code: 'ENOENT' }) }
  const root = t.testdir({ training: { 'requirements.txt': '' } })
  await t.rejects(trainingPython(root, undefined, absent, () => {}), new PythonError('Training needs Python 3.11 or newer, and none of python3.11, python3, python is one: install it, or give --python.'))
})

t.test('wrong calls say what is wanted and start nothing', async (t) => {
  const python = fakePython()
  const { root, call } = world(t, python)
  await t.rejects(call('sft'), { message: 'Wanted --config <file>.' })
  await t.rejects(call('sft', '--config', join(root, 'gone.json'), '--data', 'd'), { name: 'UsageError', message: /Cannot read the configuration, .*gone\.json: there is no such file\.$/ })
  await t.rejects(call('sft', '--config', join(root, 'bad.json'), '--data', 'd'), { name: 'UsageError', message: /The configuration .*bad\.json is not JSON/ })
  await t.rejects(call('sft', '--config', join(root, 'none.json'), '--data', 'd'), { message: /names no perspectives/ })
  await t.rejects(call('sft', '--config', join(root, 'two.json'), '--data', 'd', '--perspective', 'middle'), { message: /trains progressive and conservative, not "middle"/ })
  t.equal(python.started.length, 0)
})

t.test('a dry run without the data says what would be done, then what is missing, and fails; a conversion needs none', async (t) => {
  const python = fakePython((args) => ({ lines: [`{"perspective":"${perspective(args)}"}`] }))
  const { root, said, call } = world(t, python)
  const data = join(root, 'rows')
  const dry = (command: string): Promise<void> => call(command, '--dry-run', '--config', join(root, 'two.json'), '--data', data)
  await t.rejects(dry('all'), { message: `This could not be trained yet: there is no statements/train.jsonl in ${data}. "parallax datasets build" makes it; --data names another folder.` })
  t.equal(said.length, 2, 'both sides\' plans are told all the same')
  await dry('gguf')
  mkdirSync(join(data, 'statements'), { recursive: true })
  writeFileSync(join(data, 'statements/train.jsonl'), '')
  await dry('all')
})

t.test('a real program\'s lines come as they are, from both its streams, with its exit code', async (t) => {
  const lines: string[] = []
  t.equal(await runProgram(process.execPath, ['-e', 'console.log("one"); console.error("two"); process.exitCode = 3'], (line) => { lines.push(line) }), 3)
  t.strictSame(lines.toSorted(), ['one', 'two'])
  await t.rejects(runProgram(join(dirname(process.execPath), 'no-such-program'), [], () => {}), { code: 'ENOENT' })
})

for (const name of ['embedded', 'one-gpu-7b']) {
  t.test(`a dry run of training/configs/${name}.json needs no package and names every number`, async (t) => {
    const root = join(import.meta.dirname, '../..')
    const said: string[] = []
    const context = { out: (text: string) => { said.push(text) }, err: (text: string) => { said.push(text) }, dataDir: () => root, openLog: () => { throw new Error('no log in this test') } }
    const command = trainCommand({ root, run: runProgram, client: () => { throw new Error('no service in this test') }, wait: async () => {} })
    const config = join(root, `training/configs/${name}.json`)
    const data = t.testdir({ statements: { 'train.jsonl': '' } })
    await command.run(['all', '--dry-run', '--config', config, '--data', data, '--out', 'out', '--perspective', 'conservative'], context)
    const told = JSON.parse(said.join('')) as { readonly side: string, readonly stages: Readonly<Record<string, object>>, readonly trl?: object }
    const { stages } = JSON.parse(readFileSync(config, 'utf8')) as { readonly stages: Readonly<Record<string, object>> }
    t.equal(told.side, 'right')
    t.match(told.stages, stages)
    if (name === 'one-gpu-7b') t.match(told.trl, { supervised: { trainer: 'SFTTrainer' }, preference: { trainer: 'DPOTrainer', arguments: { beta: 0.1, loss_type: ['sigmoid', 'sft'] } } })
  })
}
