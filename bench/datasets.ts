/**
 * Does the memory of `parallax datasets` grow with the rows? Generated pairs through every stage, each stage in a process of its own,
 * with its peak and a heap too small to keep what it need not: were memory to grow with rows, it would die. `node bench/datasets.ts 100000 1000000`. Needs some 3 GB of disk for a million rows.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dice } from '../src/datasets/dice.ts'
import { readRecipe } from '../src/datasets/recipe.ts'
import { runStage } from '../src/datasets/stage.ts'
import { STAGES } from '../src/datasets/stages.ts'

const TOPICS = 200
const LISTS = fileURLToPath(new URL('../datasets/lists/', import.meta.url))
const THIS = fileURLToPath(import.meta.url)

/** Pairs without end, of words that nobody says. */
function generate (file: string, rows: number): string {
  const chance = dice(1, 'generated')
  const syllables = ['ba', 'ce', 'di', 'fo', 'gu', 'ha', 'le', 'mi', 'no', 'pu', 'ra', 'se', 'ti', 'vo', 'zu']
  const vocabulary = Array.from({ length: 4000 }, () => Array.from({ length: 3 }, () => chance.pick(syllables)).join(''))
  const say = (count: number): string => Array.from({ length: count }, () => chance.pick(vocabulary)).join(' ')
  const digest = createHash('sha256')
  const handle = openSync(file, 'w')
  let text = 'topic,l,r\n'
  for (let i = 0; i < rows; i++) {
    const topic = vocabulary[i % TOPICS]!
    text += `${topic},"The ${topic} should have ${say(5)} and the ${say(4)}.","A ${topic} is better with ${say(5)} than the ${say(3)}."\n`
    if (text.length > 1 << 20 || i === rows - 1) { digest.update(text); writeSync(handle, text); text = '' }
  }
  closeSync(handle)
  return digest.digest('hex')
}

function prepare (folder: string, rows: number): void {
  const sha256 = generate(join(folder, 'pairs.csv'), rows)
  const topics = readFileSync(join(folder, 'pairs.csv'), { encoding: 'utf8' }).slice(0, 100_000).split('\n').slice(1, 5).map((line) => line.split(',')[0]!)
  writeFileSync(join(folder, 'source.json'), JSON.stringify({
    name: 'generated', title: 'Generated', licence: 'Apache-2.0', licence_question: { may_train: true, may_publish_what_was_trained: true, answer: 'Generated for this benchmark.' },
    address: 'bench/datasets.ts', date: '2026-11-25', population: 'nobody', files: [{ path: 'pairs.csv', sha256 }], reader: 'csv', fields: { topic: 'topic', left: 'l', right: 'r' },
  }))
  const list = (name: string): string => join(LISTS, name)
  writeFileSync(join(folder, 'recipe.json'), JSON.stringify({
    name: 'generated', version: '1', title: 'Generated', seed: 1, sides: { left: 'progressive', right: 'conservative' }, sources: ['source.json'],
    clean: { toxic_words: list('toxic-words.json'), extreme_phrases: list('extreme-phrases.json'), false_claims: list('false-claims.json'), function_words: list('function-words.json') },
    pair: {}, split: { validation: [topics[0]], test: [topics[1]] }, compose: { forms: list('forms.json'), per_form: 0.05 }, decontaminate: { sets: list('evaluation-sets.json') }, export: { formats: ['trl'] },
  }))
}

const MB = 1024
/** V8 takes what it may and tidies late; so it may little. */
const HEAP = ['--max-old-space-size=64', '--max-semi-space-size=4']
const [first = '', ...rest] = process.argv.slice(2)
if (first === '--stage') {
  const [name, folder] = rest as [string, string]
  const { manifest } = await runStage(STAGES.find((stage) => stage.name === name)!, readRecipe(join(folder, 'recipe.json')), join(folder, 'work'), () => {})
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
  process.stdout.write(JSON.stringify({ peak: Math.round(maxRSS / MB), cpu: Math.round((userCPUTime + systemCPUTime) / 1e5) / 10, rows: manifest.parts.reduce((sum, part) => sum + part.rows, 0) }))
} else {
  const sizes = [first, ...rest].filter(Boolean).map(Number)
  const found: Record<string, { peak: number, cpu: number, rows: number }[]> = {}
  for (const rows of sizes.length > 0 ? sizes : [100_000, 1_000_000]) {
    const folder = mkdtempSync(join(tmpdir(), 'parallax-bench-'))
    try {
      prepare(folder, rows)
      for (const { name } of STAGES) {
        const run = spawnSync(process.execPath, [...HEAP, THIS, '--stage', name, folder], { encoding: 'utf8', maxBuffer: 1 << 20 })
        if (run.status !== 0) throw new Error(run.stderr)
        const result = JSON.parse(run.stdout) as { peak: number, cpu: number, rows: number }
        ;(found[name] ??= []).push(result)
        process.stdout.write(`${String(rows).padStart(9)} rows  ${name.padEnd(14)} peak ${String(result.peak).padStart(5)} MB  ${String(result.cpu).padStart(7)} s CPU  ${result.rows} rows out\n`)
      }
    } finally { rmSync(folder, { recursive: true, force: true }) }
  }
}
