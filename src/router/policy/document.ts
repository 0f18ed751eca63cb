/** What the policy's file holds: the schema of `policy/policy.json`. Knows nothing of how a text is compared with it. */
import { z } from 'zod'

const name = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'wanted a lower-case word of at most 40 letters, digits and hyphens')
const date = z.iso.date('wanted a date such as 2026-11-03')
const language = z.string().regex(/^[a-z]{2}$/, 'wanted a language code such as "en"')
const words = z.string().min(1).max(600)

const combination = z.strictObject({
  /** Lists of phrases of which each has to occur; the others near the first. */
  all: z.array(name).min(1).max(5),
  /** Lists of which none may occur nearby. */
  unless: z.array(name).max(8).default([]),
  language: language.default('en'),
})

export const policyDocument = z.strictObject({
  version: z.string().regex(/^\d{4}\.\d{1,2}\.\d{1,3}$/, 'wanted a version such as 2026.11.1'),
  licence: z.string().min(1),
  about: words,
  /** Who runs elections where, for the fixed text on voting procedure. */
  sources: z.array(z.strictObject({
    jurisdiction: z.string().min(1).max(60), authority: z.string().min(1).max(120),
    url: z.url({ protocol: /^https$/, error: 'wanted an https address' }),
    as_of: date,
  })).min(1),
  /** Named lists of phrases, in the language of src/router/policy/phrases.ts. */
  phrases: z.record(name, z.array(z.string().min(1).max(400)).min(1).max(400)),
  /** Lists with a part of their own in how a conversation is read. */
  reading: z.strictObject({
    /** "Translate", "summarise": what is quoted, or follows a colon, is then not an ask. */
    transforms: name,
    /** "Do it anyway": goes on with what was ruled on before. */
    continues: name,
    /** "To them": belongs together with earlier turns. */
    refers_back: name,
    /** A question: takes nothing from a system prompt. */
    asks: name,
    /** "Never": a system prompt's sentence that forbids is not an ask. */
    forbids: name,
  }),
  rules: z.array(z.strictObject({
    id: name,
    kind: z.enum(['redirect', 'refuse']),
    summary: words,
    /** Applies only within an election window of the configuration. */
    window: z.boolean().default(false),
    /** The answer by language; `{sources}` stands for the list of sources. English is required. */
    texts: z.record(language, z.string().min(1).max(4000)).refine((texts) => 'en' in texts, 'wanted a text in English ("en")'),
    when: z.array(combination).min(1).max(40),
    unless: z.array(name).max(12).default([]),
  })).min(1).max(20),
})

export type PolicyDocument = z.infer<typeof policyDocument>
export type PolicyRule = PolicyDocument['rules'][number]

/** A time in which the stricter rules apply, with those who then stand for election. */
export const electionWindow = z.strictObject({
  jurisdiction: z.string().min(1).max(60),
  /** First and last day, in UTC. */
  from: date,
  to: date,
  /** Names of the candidates, all of them: a list that leaves some out is not neutral. */
  candidates: z.array(z.string().regex(/^[\p{L}\p{M}' .-]{2,80}$/u, 'wanted a name')).max(500).default([]),
}).refine(({ from, to }) => from <= to, { message: 'ends before it begins', path: ['to'] })

export type ElectionWindow = z.infer<typeof electionWindow>
