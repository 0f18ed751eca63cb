/**
 * Answers of the base model itself to harmless instructions, through the public API: what keeps a tuned model able. Goes on where it was
 * cut off; an answer of another model than the one that was asked for stops it.
 */
import { appendFileSync, existsSync } from 'node:fs'
import { readLists } from './clean/lists.ts'
import { personalData } from './clean/personal.ts'
import { readContamination } from './contamination.ts'
import { DatasetError, at } from './dataset-error.ts'
import type { Gateway } from './gateway.ts'
import { lines, readRows } from './parts.ts'
import type { Recipe } from './recipe.ts'
import type { Report } from './stage.ts'
import { contentWords, sentences, tidy } from './text.ts'

export interface Asking { readonly gateway: Gateway, readonly recipe: Recipe, readonly model: string, readonly perspective: string | null, readonly maxTokens: number, readonly report: Report }

interface Answer { readonly choices?: readonly { readonly message?: { readonly content?: unknown }, readonly finish_reason?: string }[], readonly perspective?: { readonly id?: string } }

/** Whole sentences of an answer, up to where it ran out; undefined where too little is left or it turns in circles. */
export function wholeSentences (text: string): string | undefined {
  const parts = sentences(tidy(text)).filter((part, i, all) => i < all.length - 1 || /[.!?]["')]?$/.test(part))
  const said = new Set(parts.map((part) => [...contentWords(part)].join(' ')))
  const kept = parts.filter((part) => !/^\d+\.$/.test(part)).join(' ').replace(/\s+\d+\.$/, '')
  return parts.length === 0 || said.size < parts.length || kept.length < 12 ? undefined : kept
}

export interface Asked { readonly asked: number, readonly kept: number, readonly before: number, readonly dropped: Readonly<Record<string, number>> }

export async function askNeutral ({ gateway, recipe, model, perspective, maxTokens, report }: Asking, prompts: string, out: string): Promise<Asked> {
  const sets = await readContamination(recipe)
  const lists = readLists(recipe)
  const wanted = [...new Set([...lines(prompts)].map((line) => line.trim()).filter(Boolean))]
  for (const [i, prompt] of wanted.entries()) {
    const hit = sets.find(prompt)
    if (hit !== undefined) throw new DatasetError(`${at(prompts, i + 1)}: ${JSON.stringify(prompt)} is an item of ${hit.set} (${hit.by}): what evaluates does not train. Take the line out.`)
  }
  const done = new Set(existsSync(out) ? [...readRows<{ prompt: string }>(out)].map((row) => row.prompt) : [])
  const dropped: Record<string, number> = {}
  let [asked, kept] = [0, 0]
  for (const [number, prompt] of wanted.entries()) {
    report('instructions', number, wanted.length)
    if (done.has(prompt)) continue
    asked++
    const { json, headers } = await gateway.post('/v1/chat/completions', { model, ...perspective !== null && { perspective }, messages: [{ role: 'user', content: prompt }], max_tokens: maxTokens, temperature: 0, seed: recipe.seed % 2 ** 31 })
    const answer = json as Answer
    const by = answer.perspective?.id
    if (perspective !== null && by !== perspective) throw new DatasetError(`${JSON.stringify(prompt)} was answered by ${JSON.stringify(by ?? 'nobody that says so')}, and ${JSON.stringify(perspective)} was asked. A side's own words would teach the other side. Nothing of it was kept.`)
    const text = answer.choices?.[0]?.message?.content
    const whole = typeof text === 'string' ? wholeSentences(text) : undefined
    const why = whole === undefined ? 'no whole sentence, or the same one twice' : personalData(whole) !== undefined ? 'personal data' : lists.findings(whole).length > 0 ? 'on a list' : undefined
    if (why !== undefined) { dropped[why] = (dropped[why] ?? 0) + 1; continue }
    appendFileSync(out, `${JSON.stringify({ prompt, answer: whole, record: headers.get('x-audit-record') ?? undefined })}\n`)
    kept++
  }
  report('instructions', wanted.length, wanted.length)
  return { asked, kept, before: done.size, dropped }
}
