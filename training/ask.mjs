// Answers of the shipped GGUF files through llama.cpp: reads {"prompt"} lines on stdin, writes {"prompt","answer"} lines.
// node training/ask.mjs MODEL.gguf [--adapter adapter.gguf] [--tokens 120] [--penalty 1.1] [--temperature 0] [--seed 1] [--threads 1]
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { getLlama, LlamaCompletion } from 'node-llama-cpp'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { adapter: { type: 'string' }, tokens: { type: 'string', default: '120' }, penalty: { type: 'string', default: '1.1' },
    temperature: { type: 'string', default: '0' }, seed: { type: 'string', default: '1' }, threads: { type: 'string', default: '1' } },
})
// The model's own template, with the system message that it inserts where there is none.
const text = (prompt) => `<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n<|im_start|>user\n${prompt}<|im_end|>\n<|im_start|>assistant\n`

const llama = await getLlama({ gpu: false, maxThreads: Number(values.threads), logLevel: 'error' })
const model = await llama.loadModel({ modelPath: positionals[0], gpuLayers: 0 })
const context = await model.createContext({ contextSize: 1024, threads: Number(values.threads), ...(values.adapter && { lora: values.adapter }) })
const sequence = context.getSequence()
const completion = new LlamaCompletion({ contextSequence: sequence })
const penalty = Number(values.penalty)

for await (const line of createInterface({ input: process.stdin })) {
  const { prompt } = JSON.parse(line)
  const { response, metadata } = await completion.generateCompletionWithMeta(model.tokenize(text(prompt), true), {
    maxTokens: Number(values.tokens), temperature: Number(values.temperature), seed: Number(values.seed), topK: 40, topP: 0.95, minP: 0.05, trimWhitespaceSuffix: true,
    repeatPenalty: penalty === 1 ? false : { penalty, lastTokens: 64 },
  })
  process.stdout.write(JSON.stringify({ prompt, answer: response.trim(), whole: metadata.stopReason !== 'maxTokens' }) + '\n')
}
await context.dispose()
await model.dispose()
