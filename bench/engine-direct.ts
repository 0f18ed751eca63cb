/** node-llama-cpp called directly, with the engine's own settings and nothing of the gateway: the baseline for tokens a second. One question a line on standard input, one result a line on standard output. */
import { createInterface } from 'node:readline'
import { getLlama, LlamaLogLevel } from 'node-llama-cpp'
import { promptOf } from '../src/engine/prompt.ts'
import type { Message } from '../src/engine/wire.ts'

export interface DirectSetup { readonly modelPath: string, readonly adapters: readonly string[], readonly threads: number, readonly contextSize: number, readonly sequences: number }
export interface DirectQuestion { readonly messages: readonly Message[], readonly maxTokens: number }
export interface DirectResult { readonly tokens: number, readonly seconds: number, readonly text: string }

const setup = JSON.parse(process.argv[2]!) as DirectSetup
const llama = await getLlama({ gpu: false, build: 'never', maxThreads: setup.threads, logLevel: LlamaLogLevel.error, progressLogs: false })
const model = await llama.loadModel({ modelPath: setup.modelPath, gpuLayers: 0 })
const context = await model.createContext({
  contextSize: setup.contextSize,
  sequences: setup.sequences,
  threads: { ideal: setup.threads, min: setup.threads },
  ...(setup.adapters.length > 0 && { lora: { adapters: setup.adapters.map((filePath) => ({ filePath, scale: 1 })) } }),
})
// the same tokens in, or the times could not be compared
const toPrompt = promptOf(model)

async function answer ({ messages, maxTokens }: DirectQuestion): Promise<DirectResult> {
  const sequence = context.getSequence()
  const started = performance.now()
  const tokens = []
  for await (const token of sequence.evaluate(toPrompt(messages), { temperature: 0, yieldEogToken: true })) {
    if (model.isEogToken(token)) break
    tokens.push(token)
    if (tokens.length >= maxTokens) break
  }
  const text = model.detokenize(tokens)
  const seconds = (performance.now() - started) / 1000
  await sequence.dispose()
  return { tokens: tokens.length, seconds, text }
}

process.stdout.write('{"ready":true}\n')
for await (const line of createInterface(process.stdin)) process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line) as DirectQuestion))}\n`)
process.exit()
