/** The formats that trainers read, by name. Knows nothing of files or splits. */
import { other, type Turn } from '../rows.ts'
import type { Format } from './format.ts'

const said = (content: string): Turn => ({ role: 'assistant', content })

/** OpenAI's fine-tuning files; earlier answers of a conversation have no weight, for they are nobody's stance. */
const openai: Format = {
  sft: (row, end) => ({ messages: [...row.prompt.map((turn) => turn.role === 'assistant' ? { ...turn, weight: 0 } : turn), said(row[end])] }),
  dpo: (row, end) => ({ input: { messages: row.prompt }, preferred_output: [said(row[end])], non_preferred_output: [said(row[other(end)])] }),
}

const trl: Format = {
  sft: (row, end) => ({ prompt: row.prompt, completion: [said(row[end])] }),
  dpo: (row, end) => ({ prompt: row.prompt, chosen: [said(row[end])], rejected: [said(row[other(end)])] }),
}

const gpt = (value: string): object => ({ from: 'gpt', value })
const shared = (turn: Turn): object => turn.role === 'assistant' ? gpt(turn.content) : { from: 'human', value: turn.content }
const llamaFactory: Format = {
  sft: (row, end) => ({ conversations: [...row.prompt.map(shared), gpt(row[end])] }),
  dpo: (row, end) => ({ conversations: row.prompt.map(shared), chosen: gpt(row[end]), rejected: gpt(row[other(end)]) }),
  beside: (files) => ({
    'dataset_info.json': `${JSON.stringify(Object.fromEntries(files.map(({ path, side, kind, split }) => [`parallax_${side}_${kind}_${split}`, {
      file_name: path, formatting: 'sharegpt', ...kind === 'dpo' && { ranking: true },
      columns: { messages: 'conversations', ...kind === 'dpo' && { chosen: 'chosen', rejected: 'rejected' } },
    }])), null, 2)}\n`,
  }),
}

const axolotl: Format = {
  sft: (row, end) => ({ messages: [...row.prompt, said(row[end])] }),
  dpo: (row, end) => ({ messages: row.prompt, chosen: said(row[end]), rejected: said(row[other(end)]) }),
  beside: (files) => Object.fromEntries([...new Set(files.map(({ side, kind }) => `${side}.${kind}`))].map((name) => {
    const of = (split: string): string => files.filter((file) => `${file.side}.${file.kind}` === name && file.split === split).map(({ path }) => `  - path: ${path}
    ds_type: json
    type: chat_template${name.endsWith('.dpo') ? '.default' : ''}
    field_messages: messages
${name.endsWith('.dpo') ? '    field_chosen: chosen\n    field_rejected: rejected\n' : '    roles_to_train: [assistant]\n    train_on_eos: turn\n'}`).join('')
    return [`${name}.yaml`, `# For axolotl: to be merged into a training configuration.\n${name.endsWith('.dpo') ? 'rl: dpo\n' : ''}datasets:\n${of('train')}test_datasets:\n${of('validation').replace('path: ', 'path: ')}`]
  })),
}

export const FORMATS: Readonly<Record<'openai' | 'trl' | 'llama-factory' | 'axolotl', Format>> = { openai, trl, 'llama-factory': llamaFactory, axolotl }
