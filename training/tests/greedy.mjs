// Greedy continuation by llama.cpp of token ids: node greedy.mjs MODEL.gguf ADAPTER.gguf COUNT, one JSON array a line on stdin and on stdout.
import { createInterface } from 'node:readline'
import { getLlama } from 'node-llama-cpp'

const [modelPath, lora, count] = process.argv.slice(2)
const llama = await getLlama({ gpu: false, maxThreads: 1, logLevel: 'error' })
const model = await llama.loadModel({ modelPath, gpuLayers: 0 })
const context = await model.createContext({ contextSize: 256, threads: 1, lora })
const sequence = context.getSequence()
for await (const line of createInterface({ input: process.stdin })) {
  await sequence.clearHistory()
  const found = []
  for await (const token of sequence.evaluate(JSON.parse(line), { temperature: 0, yieldEogToken: true })) {
    found.push(token)
    if (found.length === Number(count)) break
  }
  process.stdout.write(JSON.stringify(found) + '\n')
}
await context.dispose()
await model.dispose()
