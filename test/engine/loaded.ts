/** The tiny model in this process, for what can be seen only beside the tokens. */
import { getLlama, LlamaLogLevel, type LlamaModel } from 'node-llama-cpp'
import type { Test } from 'tap'
import { tinyModel } from '../fixtures/tiny-model.ts'

export async function loadTiny (t: Test, modelPath = tinyModel().modelPath): Promise<LlamaModel> {
  const llama = await getLlama({ gpu: false, build: 'never', maxThreads: 1, logLevel: LlamaLogLevel.error, progressLogs: false })
  t.teardown(() => llama.dispose())
  return llama.loadModel({ modelPath, gpuLayers: 0 })
}
