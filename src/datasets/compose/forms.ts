/** The forms of questions and the words that hold answers together, read from their list. Knows nothing of statements. */
import { z } from 'zod'
import { DatasetError } from '../dataset-error.ts'
import { pathIn, readChecked, type Recipe } from '../recipe.ts'

const texts = z.array(z.string()).min(1)
const form = z.strictObject({ openings: z.enum(['openings', 'news_openings', 'reason_openings']), templates: z.array(z.string()).min(10, 'wanted at least ten templates, so that none is learned'), first: texts.optional(), acknowledgement: texts.optional() })

const schema = z.strictObject({
  title: z.string(), licence: z.string(), address: z.string(), method: z.string(),
  capitals: z.record(z.string(), z.string()), with_article: z.string(), without_article: z.string(),
  openings: texts, topic_openings: texts, news_openings: texts, reason_openings: texts, links: texts, last_links: texts,
  forms: z.strictObject({ opinion: form, should: form, reasons: form, news: form, 'follow-up': form.required() }),
  /** Who said it, and whoever is exchanged for them. */
  actors: z.array(z.tuple([z.string(), z.string()])).min(1),
})

export type Forms = z.infer<typeof schema>
export type FormName = keyof Forms['forms']

export function readForms (recipe: Recipe): Forms {
  const file = pathIn(recipe, recipe.compose.forms)
  const forms = readChecked(file, 'a list of forms', schema)
  const { news, should } = forms.forms
  for (const template of news.templates) if (!template.includes('{actor}') || !template.includes('{statement}')) throw new DatasetError(`${file}: a template of "news" lacks {actor} or {statement}: ${JSON.stringify(template)}.`)
  for (const template of should.templates) if (!/\{question\}|\{clause\}/.test(template)) throw new DatasetError(`${file}: a template of "should" lacks {question} and {clause}: ${JSON.stringify(template)}.`)
  return forms
}

export const fill = (template: string, values: Readonly<Record<string, string>>): string => {
  const text = template.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole)
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** A label as it stands in a sentence. */
export function topicPhrase (topic: string, forms: Forms): string {
  const named = topic.split(' ').map((word) => forms.capitals[word] ?? word).join(' ')
  return new RegExp(forms.with_article).test(topic) && !new RegExp(forms.without_article).test(topic) ? `the ${named}` : named
}
