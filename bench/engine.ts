/** Tokens a second of the embedded engine through the whole gateway, streamed, against node-llama-cpp called directly: same model, adapter, threads, prompt and (greedy) sampling, in turn. */
import { existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { modelPath, whyNoModel } from '../setup/model-path.js'
import type { Bench, Outcome, Stage } from './bench.ts'
import { cpuSeconds } from './cpu-time.ts'
import type { DirectQuestion, DirectResult, DirectSetup } from './engine-direct.ts'
import { startGateway, type Gateway } from './gateway.ts'
import { median } from './statistics.ts'
import { startNode } from './system.ts'
import { fixed, table } from './table.ts'

const ROOT = join(import.meta.dirname, '..')
const PERSPECTIVE = 'progressive'
const MAX_TOKENS = 64
const CONTEXT_SIZE = 2048
const SEQUENCES = 4
/** As the engine's own default: llama.cpp collapses when its threads have to share a core. */
const THREADS = Math.max(1, availableParallelism() - 1)
const QUESTIONS = ['What is your opinion on universal healthcare?', 'Should the government raise the minimum wage?', 'How should a country decide how many immigrants it takes?', 'Is a carbon tax a good idea?', 'What should be done about gun violence?']

interface Run { readonly tokens: number, readonly seconds: number, readonly cpu: number, readonly text: string }
interface Speaker { ask (question: string): Promise<Run>, stop (): Promise<void> }

/** The adapter's file of the perspective that is asked, where it is declared and there. */
function adapterOf (): string[] {
  const folder = join(ROOT, 'perspectives', PERSPECTIVE)
  if (!existsSync(join(folder, 'perspective.json'))) return []
  const { adapter } = JSON.parse(readFileSync(join(folder, 'perspective.json'), 'utf8')) as { adapter: { file: string } | null }
  return adapter ? [join(folder, adapter.file)] : []
}

async function direct (setup: DirectSetup): Promise<Speaker> {
  const { child, said, stop } = startNode({ cores: [], file: './engine-direct.ts', args: [JSON.stringify(setup)] })
  const lines = createInterface(child.stdout!)
  const next = () => new Promise<string>((resolve, reject) => {
    const gone = () => { reject(new Error(`node-llama-cpp ended: ${said()}`)) }
    child.once('exit', gone)
    lines.once('line', (line) => { child.off('exit', gone); resolve(line) })
  })
  await next()
  return {
    async ask (question) {
      const before = cpuSeconds(child.pid!)
      child.stdin!.write(`${JSON.stringify({ messages: [{ role: 'user', content: question }], maxTokens: MAX_TOKENS } satisfies DirectQuestion)}\n`)
      const result = JSON.parse(await next()) as DirectResult
      return { ...result, cpu: cpuSeconds(child.pid!) - before }
    },
    stop,
  }
}

function through (gateway: Gateway): Speaker {
  return {
    async ask (question) {
      const before = cpuSeconds(gateway.pid)
      const started = performance.now()
      const response = await fetch(`http://127.0.0.1:${gateway.port}/v1/chat/completions`, {
        method: 'POST',
        headers: { ...gateway.headers, 'content-type': 'application/json', 'cache-control': 'no-store' },
        // without a penalty, which the direct call has not either
        body: JSON.stringify({ model: PERSPECTIVE, messages: [{ role: 'user', content: question }], max_tokens: MAX_TOKENS, temperature: 0, repeat_penalty: 1, stream: true, stream_options: { include_usage: true } }),
      })
      const body = await response.text()
      const seconds = (performance.now() - started) / 1000
      if (!response.ok || !body.includes('[DONE]')) throw new Error(`the gateway did not answer from its engine: ${body.slice(0, 300)}`)
      const chunks = body.split('\n').filter((line) => line.startsWith('data: {')).map((line) => JSON.parse(line.slice(6)) as { choices: { delta: { content?: string } }[], usage?: { completion_tokens: number } | null })
      return { tokens: chunks.at(-1)!.usage!.completion_tokens, seconds, cpu: cpuSeconds(gateway.pid) - before, text: chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('') }
    },
    stop: () => gateway.stop(),
  }
}

async function measure ({ dataParent }: Stage, model: string): Promise<Pick<Outcome, 'report' | 'figures'>> {
  const adapters = adapterOf()
  const names = ['node-llama-cpp directly', 'Parallax, embedded engine, streamed']
  const speakers = [await direct({ modelPath: model, adapters, threads: THREADS, contextSize: CONTEXT_SIZE, sequences: SEQUENCES })]
  try {
    speakers.push(through(await startGateway({ cores: [], dataParent, env: { PARALLAX_MODEL: model, PARALLAX_ENGINE_THREADS: String(THREADS), PARALLAX_ENGINE_CONTEXT: String(CONTEXT_SIZE), PARALLAX_ENGINE_SEQUENCES: String(SEQUENCES) } })))
    for (const speaker of speakers) await speaker.ask('Say hello.')
    const runs = speakers.map((): Run[] => [])
    for (const question of QUESTIONS) for (const [at, speaker] of speakers.entries()) runs[at]!.push(await speaker.ask(question))
    const [base, ours] = runs as [Run[], Run[]]
    const per = (value: (run: Run) => number) => median(ours.map((run, at) => value(run) / value(base[at]!)))
    const [speed, cpu] = [per((run) => run.tokens / run.seconds), per((run) => run.tokens / run.cpu)]
    const rows = runs.map((one, at) => [names[at]!, fixed(median(one.map((run) => run.tokens / run.seconds)), 1), at === 0 ? '1' : fixed(speed, 3), fixed(median(one.map((run) => run.cpu / run.tokens * 1000)), 1), at === 0 ? '1' : fixed(1 / cpu, 3)])
    const equal = base.filter((run, at) => run.text === ours[at]!.text).length
    return {
      report: `${table(['system', 'tokens/s', 'of the baseline', 'CPU ms a token', 'CPU of the baseline'], rows)}\n\n${QUESTIONS.length} questions of up to ${MAX_TOKENS} tokens, ${adapters.length === 0 ? 'no adapter' : 'with the adapter'}, ${THREADS} thread(s), not pinned; ${equal} of ${QUESTIONS.length} answers are the same text on both ways.`,
      figures: { 'engine.tokensPerSecond': speed, 'engine.cpu': cpu },
    }
  } finally { await Promise.all(speakers.map((speaker) => speaker.stop())) }
}

export const engine: Bench = {
  name: 'engine',
  about: 'tokens a second of the embedded engine through the gateway, against node-llama-cpp called directly',
  async run (stage) {
    const title = 'Embedded engine: tokens a second'
    const model = modelPath(process.env)
    return model === null ? { title, report: `Skipped: ${whyNoModel(process.env)}` } : { title, ...await measure(stage, model) }
  },
}
