/**
 * The A-B-A test at start: an adapter has to answer the same before and after another one answered, and differently from it.
 * Servers have been seen to answer B from A's state (llama.cpp 26207, 30129, 28674); one that does must not open.
 */
import type { LlamaModel, Token } from 'node-llama-cpp'
import type { Contexts, Setting } from './contexts.ts'
import { generate } from './generate.ts'
import { readJob } from './wire.ts'

const QUESTION = 'What is your opinion on taxation?'
const TOKENS = 16

/** The adapters, by id and digest. Throws, for people, where the identity does not hold. Runs on an idle engine only, for batching changes floats. */
export async function proveIdentity (model: LlamaModel, contexts: Contexts, prompt: readonly Token[], contextSize: number, adapters: readonly { readonly id: string, readonly sha256: string }[]): Promise<void> {
  const never = new AbortController().signal
  const job = readJob({ messages: [{ role: 'user', content: QUESTION }], temperature: 0, repeat_penalty: 1, max_tokens: TOKENS, logprobs: true })
  /** Greedy text and the log-probabilities of its tokens: two adapters may open alike, but never with equal probabilities. */
  const answer = async (setting: Setting): Promise<string> => {
    const lease = await contexts.acquire(setting, never)
    try {
      let seen = ''
      for await (const piece of generate(model, lease.sequence, prompt, contextSize, job, never)) seen += JSON.stringify(piece)
      return seen
    } finally { await lease.release() }
  }
  const only = (chosen: number): Setting => adapters.map((_, id) => ({ id, scale: id === chosen ? 1 : 0 }))
  const round = async (): Promise<string[]> => {
    const seen = [await answer(only(-1))]
    for (const id of adapters.keys()) seen.push(await answer(only(id)))
    return seen
  }
  const first = await round()
  const second = await round()
  const names = ['the base model', ...adapters.map(({ id }) => `the adapter "${id}"`)]
  for (const [place, name] of names.entries()) {
    if (first[place] !== second[place]) throw new Error(`${name} answers differently after the others have answered: its answers cannot be told apart from theirs.`)
    for (let other = 0; other < place; other++) {
      const twins = place > 0 && other > 0 && adapters[place - 1]!.sha256 === adapters[other - 1]!.sha256
      if (!twins && first[place] === first[other]) throw new Error(`${name} answers exactly as ${names[other]}: it is not in effect.`)
    }
  }
}

export { QUESTION as IDENTITY_QUESTION }
