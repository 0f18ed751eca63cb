/**
 * The A-B-A test at start: an adapter has to answer the same before and after another one answered, and differently from it.
 * Servers have been seen to answer B from A's state (llama.cpp 26207, 30129, 28674); one that does must not open.
 */
import type { LlamaModel } from 'node-llama-cpp'
import type { Contexts, Setting } from './contexts.ts'
import { sample } from './sampling.ts'
import { readJob } from './wire.ts'

const QUESTION = 'What is your opinion on taxation?'
const TOKENS = 16
/** Likeliest tokens compared at each step: a leak too small to change a greedy word changes these. */
const ALTERNATIVES = 5

/** The usable adapters, by id, digest and number on the wire (their place where none is given). Throws, for people, where the identity does not hold. Runs on an idle engine only, for batching changes floats. */
export async function proveIdentity (model: LlamaModel, contexts: Contexts, adapters: readonly { readonly id: string, readonly sha256: string, readonly number?: number }[]): Promise<void> {
  const never = new AbortController().signal
  const job = readJob({ messages: [{ role: 'user', content: QUESTION }], temperature: 0, repeat_penalty: 1, logprobs: true, top_logprobs: ALTERNATIVES })
  // without the template: a third of the tokens, and the start waits for this
  const prompt = model.tokenize(QUESTION, false)
  /** Greedy tokens and the log-probabilities of the likeliest: two adapters may open alike, but never with equal probabilities. */
  const answer = async (name: string, setting: Setting): Promise<string> => {
    const lease = await contexts.acquire(setting, never).catch((cause: unknown) => { throw new Error(`The engine is not opened: ${name} cannot be loaded, because its file is damaged or there is not enough memory.`, { cause }) })
    try {
      const seen: string[] = []
      for await (const step of sample(model, lease.sequence, prompt, job, [])) {
        // past the end of the answer too: what is compared is the state, not the text
        if (seen.push(JSON.stringify(step)) >= TOKENS) break
      }
      return seen.join('\n')
    } finally { await lease.release() }
  }
  const only = (chosen: number): Setting => adapters.map(({ number }, place) => ({ id: number ?? place, scale: place === chosen ? 1 : 0 }))
  const names = ['the base model', ...adapters.map(({ id }) => `the adapter "${id}"`)]
  const round = async (): Promise<string[]> => {
    const seen: string[] = []
    // the base first, then each adapter
    for (const [place, name] of names.entries()) seen.push(await answer(name, only(place - 1)))
    return seen
  }
  const first = await round()
  const second = await round()
  for (const [place, name] of names.entries()) {
    if (first[place] !== second[place]) throw new Error(`The engine is not opened: ${name} answers differently after the others have answered, so they are not kept apart.`)
    for (let other = 0; other < place; other++) {
      const twins = place > 0 && other > 0 && adapters[place - 1]!.sha256 === adapters[other - 1]!.sha256
      if (!twins && first[place] === first[other]) throw new Error(`The engine is not opened: ${name} answers exactly as ${names[other]}, so it is not in effect.`)
    }
  }
}
