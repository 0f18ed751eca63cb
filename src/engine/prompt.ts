/** Messages -> tokens, by the model's own chat template, as transformers' `apply_chat_template` gives them. What a person typed is never read as a control token. */
import { randomUUID } from 'node:crypto'
import { Template } from '@huggingface/jinja'
import type { LlamaModel, Token } from 'node-llama-cpp'
import { roomFor } from './generate.ts'
import { Refusal, type Message } from './wire.ts'

/** Throws Refusal where the messages cannot be written by the template or leave no room for an answer. */
export type Prompt = (messages: readonly Message[]) => Token[]

const CLOSE = '⟧'
/** GGUF's token_type of a token that is none of the text's: llama.cpp's LLAMA_TOKEN_TYPE_CONTROL. */
const CONTROL = 3

/** Throws where the model carries no template that can be read. */
export function promptOf (model: LlamaModel, contextSize: number = model.trainContextSize): Prompt {
  const { chat_template: source, ggml } = model.fileInfo.metadata.tokenizer
  if (typeof source !== 'string') throw new Error('The model file carries no chat template.')
  const template = new Template(source)
  const { bosString, eosString } = model.tokens
  const render = (messages: readonly Message[]): string => template.render({ messages, add_generation_prompt: true, bos_token: bosString ?? '', eos_token: eosString ?? '' })

  const control = new Map(ggml.tokens.flatMap((text, token) => ggml.token_type?.[token] === CONTROL && text !== '' ? [[text, token as Token]] : []))
  const controls = new RegExp(`(${[...control.keys()].toSorted((a, b) => b.length - a.length).map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|') || '(?!)'})`)
  const longest = ggml.tokens.reduce((length, text) => Math.max(length, text.length), 1)

  return (messages) => {
    // tokenizing blocks everybody's answers, a second a megabyte: what cannot fit is not tokenized
    const least = Math.ceil(messages.reduce((sum, { content }) => sum + content.length, 0) / longest)
    roomFor(least, contextSize, 'at least ')
    const tokens: Token[] = []
    let run = ''
    const flush = (): void => {
      // pieces that touch are tokenized together, for a vocabulary merges across them; and as plain text, whatever they spell
      if (run !== '') for (const token of model.tokenize(run, false)) tokens.push(token)
      run = ''
    }
    for (const [text, typed] of pieces(render, messages)) {
      if (typed) run += text
      else for (const part of text.split(controls)) {
        const token = control.get(part)
        if (token === undefined) { run += part; continue }
        flush()
        tokens.push(token)
      }
    }
    flush()
    roomFor(tokens.length, contextSize)
    return tokens
  }
}

/** What the template writes, cut into its own text and what people typed. */
function pieces (render: (messages: readonly Message[]) => string, messages: readonly Message[]): [text: string, typed: boolean][] {
  let whole: string
  try { whole = render(messages) } catch (error) {
    throw new Refusal(400, 'invalid_request', `The model's chat template refuses these messages: ${(error as Error).message}`, 'messages')
  }
  // templates that trim see stand-ins, which have nothing to trim: so the contents are tried as they are and trimmed
  for (const contents of [messages.map(({ content }) => content), messages.map(({ content }) => content.trim())]) {
    const mark = `⟦${randomUUID()}:`
    const found: [string, boolean][] = []
    for (const [place, piece] of render(messages.map(({ role }, index) => ({ role, content: `${mark}${index}${CLOSE}` }))).split(mark).entries()) {
      const end = place === 0 ? 0 : piece.indexOf(CLOSE) + 1
      if (end > 0) found.push([contents[Number(piece.slice(0, end - 1))]!, true])
      if (end < piece.length) found.push([piece.slice(end), false])
    }
    if (found.map(([text]) => text).join('') === whole) return found
  }
  throw new Refusal(400, 'invalid_request', 'The model\'s chat template changes what these messages say, so that typed text and control tokens cannot be told apart.', 'messages')
}
