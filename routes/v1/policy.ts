/** What no perspective serves and what is said instead, how well that works, and the file itself. Public. */
import { dirname } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { policySummary, summaryOf } from '../../src/evaluation/policy/summary.ts'
import { electionWindow, policyDocument } from '../../src/router/policy/document.ts'

const described = z.object({
  object: z.literal('policy'),
  version: z.string(),
  sha256: z.string().describe('Of the policy\'s file, as `config.changed` records name it'),
  about: z.string(),
  licence: z.string(),
  file: z.string(),
  rules: z.array(z.object({
    id: z.string(), kind: z.enum(['redirect', 'refuse']), summary: z.string(),
    in_force: z.boolean().describe('False for a rule of election windows outside of them'),
    texts: z.record(z.string(), z.string()).describe('The fixed answer by language, whichever perspective was asked'),
  })),
  sources: policyDocument.shape.sources,
  election_windows: z.array(electionWindow),
  report: policySummary.nullable().describe('How the rules do on the labelled prompts they were not tuned on; null where this very policy was not measured'),
})

export default async function routes (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { policy } = app.services
  const report = summaryOf(dirname(policy.file), policy.sha256)

  app.get('/policy', {
    config: { public: true },
    schema: { tags: ['policy'], summary: 'What no perspective serves, and what is said instead', response: { 200: described } },
  }, async () => {
    const now = new Date()
    const { version, about, licence, rules, sources } = policy.document
    return {
      object: 'policy' as const, version, sha256: policy.sha256, about, licence, file: '/v1/policy/file',
      rules: rules.map((rule) => ({
        id: rule.id, kind: rule.kind, summary: rule.summary, in_force: policy.inForce(rule, now),
        texts: Object.fromEntries(Object.keys(rule.texts).map((language) => [language, policy.text(rule, language)])),
      })),
      sources, election_windows: policy.electionWindows.map((one) => ({ ...one, candidates: [...one.candidates] })), report,
    }
  })

  app.get('/policy/file', {
    config: { public: true },
    schema: { tags: ['policy'], summary: 'The policy\'s file, byte by byte', description: 'JSON with every phrase that the rules look for; its SHA-256 is the one on record.' },
  }, async (_request, reply) => reply.type('application/json; charset=utf-8').send(policy.bytes))
}
