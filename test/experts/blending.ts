/** What blends on an engine have to hold to, whichever model it serves. */
import type { Test } from 'tap'
import type { Engine } from '../../src/engine/engine.ts'
import { mixed } from '../../src/experts/blend.ts'
import type { Expert, Wire } from '../../src/experts/expert.ts'
import { LlamaExpert } from '../../src/experts/llama.ts'
import { start } from '../engine/running.ts'

const never = new AbortController().signal
const QUESTION = [{ role: 'user', content: 'What is your opinion on universal healthcare?' }]
const GREEDY = { messages: QUESTION, temperature: 0, repeat_penalty: 1, max_tokens: 16 }

interface Adapter { readonly id: string, readonly path: string, readonly sha256: string }

/** A, B and the base on one engine. */
export async function trio (t: Test, modelFile: string, adapters: readonly Adapter[]): Promise<{ engine: Engine, A: Expert, B: Expert, base: Expert }> {
  const engine = start(t, { modelPath: modelFile, adapters, sequences: 2, contextSize: 512 })
  await engine.ready()
  const expert = (chosen: number): Expert => {
    const made = new LlamaExpert({
      facts: { model: 'base', adapter: adapters[chosen]?.id ?? null, adapterSha256: adapters[chosen]?.sha256 ?? null },
      at: { baseUrl: 'http://engine/v1', socketPath: engine.socketPath, limits: { answerBytes: 1e6, firstChunkMs: 60_000, chunkGapMs: 60_000 } },
      lora: adapters.map((_, id) => ({ id, scale: id === chosen ? 1 : 0 })),
    })
    t.teardown(() => made.close())
    return made
  }
  return { engine, A: expert(0), B: expert(1), base: expert(-1) }
}

const said = (completion: Wire): string => (completion['choices'] as { message: { content: string } }[])[0]!.message.content
export const answer = async (expert: Expert, more = {}): Promise<string> => said(await expert.complete({ ...GREEDY, ...more }, never))

/** `back`: of the settings that crowd each other out, how many are asked again; the first were thrown out first. */
export async function holds (t: Test, { A, B, base }: { A: Expert, B: Expert, base: Expert }, back = Infinity): Promise<void> {
  const blend = (a: number, b: number): Expert => mixed([{ expert: A, weight: a }, { expert: B, weight: b }])
  const [pureA, pureB, pureBase] = [await answer(A), await answer(B), await answer(base)]
  t.equal(new Set([pureA, pureB, pureBase]).size, 3)
  t.equal(await answer(blend(1, 0)), pureA, '1.0/0.0 is the pure adapter, byte for byte')
  t.equal(await answer(blend(0, 1)), pureB)
  const half = await answer(blend(0.5, 0.5))
  t.notOk([pureA, pureB].includes(half), 'half and half is neither')
  t.equal(await answer(mixed([{ expert: A, weight: 0 }, { expert: base, weight: 1 }])), pureBase)
  t.equal(await answer(A), pureA, 'A-B-A after a blend')
  t.equal(await answer(B), pureB)

  let streamed = ''
  for await (const batch of await blend(0.5, 0.5).stream(GREEDY, never)) for (const chunk of batch) streamed += ((chunk['choices'] as { delta: { content?: string } }[])[0]?.delta.content ?? '')
  t.equal(streamed, half, 'streamed as whole')

  // more settings than the engine holds contexts for, there and back: each is thrown out and made again
  const settings = [0.95, 0.8, 0.65, 0.55, 0.35, 0.2, 0.05]
  const first: string[] = []
  for (const weight of settings) first.push(await answer(blend(weight, 1 - weight)))
  for (const [place, weight] of [...settings.entries()].slice(0, back).toReversed()) t.equal(await answer(blend(weight, 1 - weight)), first[place], `${weight} again`)
  t.equal(await answer(A), pureA)
  t.equal(await answer(B), pureB)
  t.equal(await answer(base), pureBase)
}
