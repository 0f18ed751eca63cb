/** Reads the policy from its file and names every mistake in it. Knows nothing of conversations. */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { policyDocument, type PolicyDocument } from './document.ts'
import { ruleBook, type RuleBook } from './rules.ts'

/** A policy that cannot be used: names the file and all its mistakes. */
export class PolicyError extends Error { override readonly name = 'PolicyError' }

export interface LoadedPolicy {
  readonly document: PolicyDocument
  readonly book: RuleBook
  /** The file as it was read: everything that a ruling depends on but the configuration's election windows. */
  readonly bytes: Buffer
  readonly sha256: string
}

export function readPolicy (file: string): LoadedPolicy {
  let bytes: Buffer
  let json: unknown
  try {
    bytes = readFileSync(file)
    json = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new PolicyError(`${file} cannot be read as JSON: ${(cause as Error).message}`, { cause })
  }
  return { ...checkPolicy(json, file), bytes, sha256: hash('sha256', bytes) }
}

/** The same for what is already parsed; `extra` are phrases that the configuration adds to lists. */
export function checkPolicy (json: unknown, file: string, extra: Readonly<Record<string, readonly string[]>> = {}): { document: PolicyDocument, book: RuleBook } {
  const parsed = policyDocument.safeParse(json)
  const fail = (problems: readonly string[]): never => { throw new PolicyError(`${file} is not a policy:\n${problems.map((line) => `  - ${line}`).join('\n')}`) }
  if (!parsed.success) return fail(parsed.error.issues.map((issue) => `${issue.path.join('.') || 'file'}: ${issue.message}`))
  const document = parsed.data
  const problems: string[] = []
  const ids = document.rules.map(({ id }) => id)
  for (const id of new Set(ids.filter((one, at) => ids.indexOf(one) !== at))) problems.push(`rules: two have the id "${id}"`)
  for (const [at, rule] of document.rules.entries()) {
    for (const { language } of rule.when) if (!(language in rule.texts)) problems.push(`rules.${at}.texts: wanted a text in "${language}", which one of its combinations is in`)
  }
  const phrases = { ...document.phrases }
  for (const [list, more] of Object.entries(extra)) {
    if (list in phrases) phrases[list] = [...phrases[list]!, ...more]
    else problems.push(`phrases: wanted a list "${list}", to which the configuration's election windows add names`)
  }
  const book = ruleBook({ ...document, phrases }, (where, what) => problems.push(`${where}: ${what}`))
  if (problems.length > 0) fail(problems)
  return { document, book }
}
