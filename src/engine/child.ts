/** The engine's process: loads the model and its adapters, proves that they do not leak into each other, and serves them. Ends when its parent does. */
import { chmodSync, existsSync, rmSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { once } from 'node:events'
import { getLlama, LlamaLogLevel, readGgufFileInfo, type LlamaModel } from 'node-llama-cpp'
import { Contexts } from './contexts.ts'
import { checkHeader, sha256 } from './files.ts'
import { generate } from './generate.ts'
import { proveIdentity } from './identity.ts'
import { promptOf } from './prompt.ts'
import { scoreItem, tokenItems, type ScoredItem, type ScoreJob } from './scoring.ts'
import { serve, type Model } from './server.ts'
import type { Job } from './wire.ts'

/** By IPC, once. */
export interface Assignment {
  readonly modelPath: string
  readonly modelName: string
  readonly adapters: readonly { readonly id: string, readonly path: string, readonly sha256: string }[]
  readonly socketPath: string
  /** Made for the socket alone, and removed with it; null where the socket was given a place. */
  readonly directory: string | null
  readonly threads: number
  readonly contextThreads: number
  readonly contextSize: number
  readonly sequences: number
  readonly queueLimit: number
}

/** `failed`: starting again with the same files would fail again. */
export type Report = { readonly type: 'ready', readonly milliseconds: number, readonly unusable: Readonly<Record<string, string>> } | { readonly type: 'failed', readonly reason: string } | { readonly type: 'defect', readonly message: string }

const tell = (report: Report): void => { process.send?.(report) }

// Ctrl-C and a service manager's stop reach the whole group: the gateway first lets its streams finish, and ends this process by hanging up
process.on('SIGINT', () => {}).on('SIGTERM', () => {})

process.once('message', (assignment: Assignment) => {
  // a parent that died cannot ask for anything any more, nor clean up
  process.on('disconnect', () => {
    try {
      rmSync(assignment.socketPath, { force: true })
      if (assignment.directory) rmSync(assignment.directory, { recursive: true, force: true })
    } catch { /* nobody is left to tell */ }
    // not exit(): that waits for llama.cpp's threads, which may be in the middle of a long prompt
    process.kill(process.pid, 'SIGKILL')
  })
  start(assignment).catch((error: unknown) => {
    tell({ type: 'failed', reason: withoutPaths(assignment, error) })
    // told before the process ends
    setTimeout(() => { process.exit(3) }, 50)
  })
})

/** Callers may be shown the reason: the library's own words name files by their whole path. */
function withoutPaths ({ modelPath, adapters }: Assignment, error: unknown): string {
  return [modelPath, ...adapters.map(({ path }) => path)].reduce((words, path) => words.replaceAll(resolve(path), basename(path)).replaceAll(path, basename(path)), (error as Error).message)
}

/** Throws, for people, where an adapter's file is not the declared one or was made for another base. */
async function checkAdapter ({ id, path, sha256: declared }: Assignment['adapters'][number], model: LlamaModel): Promise<void> {
  if (!existsSync(path)) throw new Error(`The adapter of "${id}" is missing: ${basename(path)} is not beside its declaration.`)
  const found = await sha256(path)
  if (found !== declared) throw new Error(`The adapter of "${id}" is not the declared one: its SHA-256 is ${found}, declared is ${declared}.`)
  await checkHeader(path, `The adapter of "${id}",`)
  const { metadata, fullTensorInfo } = await readGgufFileInfo(path, { logWarnings: false }).catch((cause: unknown) => { throw new Error(`The adapter of "${id}" cannot be loaded: ${basename(path)} is damaged.`, { cause }) })
  const architecture: string = metadata.general.architecture
  if (architecture !== model.architecture) throw new Error(`The adapter of "${id}" was made for the architecture "${architecture}", the model is "${model.architecture}".`)
  const shapes = new Map((model.fileInfo.fullTensorInfo ?? []).map((tensor) => [tensor.name, tensor.dimensions.map(Number)]))
  for (const { name, dimensions } of fullTensorInfo ?? []) {
    const [base, which] = [name.replace(/\.lora_[ab]$/, ''), name.at(-1)]
    const shape = shapes.get(base)
    // A maps the layer's input, B to its output: their outer sides are the layer's own
    const fits = shape && (which === 'a' ? Number(dimensions[0]) === shape[0] : Number(dimensions[1]) === shape[1])
    if (!fits) throw new Error(`The adapter of "${id}" was made for another base model: its tensor ${name} does not fit.`)
  }
}

async function start (assignment: Assignment): Promise<void> {
  const started = performance.now()
  const { modelPath, socketPath, adapters, contextSize, sequences, threads, contextThreads, queueLimit } = assignment
  let model: Model | null = null
  const server = serve(() => model, (error) => { tell({ type: 'defect', message: (error as Error).message }) })
  server.listen(socketPath)
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => { throw new Error(`The engine cannot listen on its socket (${error.code}).`, { cause: error }) })
  chmodSync(socketPath, 0o600)

  await checkHeader(modelPath, 'The model file')
  const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: LlamaLogLevel.error, progressLogs: false })
  const loaded = await llama.loadModel({ modelPath, gpuLayers: 0 }).catch((error: unknown) => { throw new Error(`The model file ${basename(modelPath)} cannot be loaded: it is damaged, incomplete or no model (${(error as Error).message}).`, { cause: error }) })
  const toPrompt = promptOf(loaded, contextSize)
  // one adapter that cannot be used must not take the others down with it
  const unusable: Record<string, string> = {}
  for (const adapter of adapters) await checkAdapter(adapter, loaded).catch((error: unknown) => { unusable[adapter.id] = withoutPaths(assignment, error) })
  const paths = adapters.map(({ id, path }) => id in unusable ? null : path)
  const contexts = new Contexts(loaded, { adapters: paths, contextSize, sequences, contextThreads, queueLimit })
  for (const [number, { id }] of adapters.entries()) {
    if (paths[number] === null) continue
    // a file that is damaged behind its header is found out by its first context, which the A-B-A test needs next
    try { await (await contexts.acquire([{ id: number, scale: 1 }], new AbortController().signal)).release() } catch {
      unusable[id] = `The adapter of "${id}" cannot be loaded: its file is damaged, or there is not enough memory.`
      paths[number] = null
    }
  }
  await proveIdentity(loaded, contexts, adapters.map((adapter, number) => ({ ...adapter, number })).filter(({ id }) => !(id in unusable)))

  async function * answer (job: Job, signal: AbortSignal): ReturnType<typeof generate> {
    const prompt = toPrompt(job.messages)
    const lease = await contexts.acquire(job.lora, signal)
    try {
      return yield * generate(loaded, lease, prompt, contextSize, job, signal)
    } finally { await lease.release() }
  }

  async function * score (job: ScoreJob, signal: AbortSignal): AsyncGenerator<ScoredItem, void> {
    for (const item of tokenItems(loaded, toPrompt, contextSize, job)) {
      // a lease an item: people who wait for answers come between
      const lease = await contexts.acquire(job.lora, signal)
      try { yield await scoreItem(lease, item, signal) } finally { await lease.release() }
    }
  }

  model = {
    name: assignment.modelName,
    props: { n_ctx: contextSize, total_slots: sequences, model_path: basename(modelPath), chat_template: loaded.fileInfo.metadata.tokenizer.chat_template ?? '', threads, build_info: `llama.cpp ${llama.llamaCppRelease.release}` },
    adapters: adapters.map(({ path, sha256: digest }, id) => ({ id, path: basename(path), sha256: digest })),
    load: () => contexts.load,
    answer,
    score,
  }
  tell({ type: 'ready', milliseconds: performance.now() - started, unusable })
}
