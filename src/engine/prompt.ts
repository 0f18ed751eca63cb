/** Messages -> tokens, by the model's own chat template. What a person typed is never read as a control token. */
import { randomUUID } from 'node:crypto'
import { Template } from '@huggingface/jinja'
import type { LlamaModel, Token } from 'node-llama-cpp'
import { Refusal, type Message } from './wire.ts'

export type Prompt = (messages: readonly Message[]) => Token[]

/** Throws where the model carries no template that can be read. */
export function promptOf (model: LlamaModel): Prompt {
  const source = model.fileInfo.metadata.tokenizer?.chat_template
  if (typeof source !== 'string') throw new Error('The model file carries no chat template.')
  const template = new Template(source)
  const { bosString, eosString } = model.tokens
  return (messages) => {
    // each text is stood in for while the template runs: what it writes may be control tokens, what people wrote may not
    const mark = `⟦${randomUUID()}:`
    const standIns = messages.map(({ role }, place) => ({ role, content: `${mark}${place}⟧` }))
    let rendered: string
    try {
      rendered = template.render({ messages: standIns, add_generation_prompt: true, bos_token: bosString ?? '', eos_token: eosString ?? '' })
    } catch (error) {
      throw new Refusal(400, 'invalid_request', `The model's chat template refuses these messages: ${(error as Error).message}`, 'messages')
    }
    const tokens: Token[] = []
    for (const [place, piece] of rendered.split(mark).entries()) {
      const end = place === 0 ? 0 : piece.indexOf('⟧') + 1
      if (end > 0) tokens.push(...model.tokenize(messages[Number(piece.slice(0, end - 1))]!.content, false))
      const written = piece.slice(end)
      if (written !== '') tokens.push(...model.tokenize(written, true))
    }
    return tokens
  }
}
