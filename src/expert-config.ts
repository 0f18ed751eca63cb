/** The `experts` part of the configuration: what may be written, and what it means once it is read. Reads no environment by itself. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'

export const httpUrl = z.string().refine((text) => {
  try { const url = new URL(text); return ['http:', 'https:'].includes(url.protocol) && url.username === '' } catch { return false }
}, 'wanted an http(s) address without user name, such as https://host/v1')

const digest = z.string().regex(/^[0-9a-f]{64}$/, 'wanted 64 lower-case hex digits (SHA-256)')
const name = z.string().regex(/^[\x21-\x7e]{1,200}$/, 'wanted 1 to 200 printable ASCII characters without spaces')
const milliseconds = (fallback: number) => z.int().min(10).max(3_600_000).default(fallback)

const place = {
  /** The upstream's key itself, or better the name of the environment variable that holds it. */
  apiKey: z.string().min(1).optional(),
  apiKeyEnv: z.string().min(1).optional(),
  /** The digest of the adapter that is served there. */
  adapterSha256: digest.optional(),
}

const endpoint = z.strictObject({
  ...place,
  baseUrl: httpUrl,
  /** What the model is called there, where that is not the name that is disclosed. */
  model: z.string().min(1).optional(),
  /** Shown in /metrics and messages; absent: its number. */
  name: z.string().regex(/^[\w.-]{1,40}$/, 'wanted a word').optional(),
  weight: z.number().positive().max(1000).default(1),
})

const pool = z.strictObject({
  /** Further endpoints on which a call is tried that failed before its first byte. */
  retries: z.int().min(0).max(2).default(1),
  /** Without a first byte for so long, a second endpoint is asked as well. Absent: never. */
  hedgeMs: z.int().min(1).max(3_600_000).optional(),
  /** Failures in a row that take an endpoint out, and for how long at first; 0 failures: never. */
  breaker: z.strictObject({ failures: z.int().min(0).max(1000).default(5), openMs: milliseconds(5000) }).prefault({}),
  /** Absent: endpoints are judged by their answers alone. The path is beside the wire's: /health of a server whose wire is at /v1. */
  health: z.strictObject({ path: z.string().regex(/^\/[\x21-\x7e]*$/, 'wanted a path').default('/health'), intervalMs: milliseconds(10_000), timeoutMs: milliseconds(2000) }).optional(),
}).prefault({})

/** One address, or several that serve the same adapter. */
const where = { ...place, baseUrl: httpUrl.optional(), endpoints: z.array(endpoint).min(1).max(64).optional(), pool }

const written = z.discriminatedUnion('wire', [
  /** `model` is both sent and disclosed. */
  z.strictObject({ wire: z.literal('openai'), model: z.string().min(1).optional(), adapter: name.optional(), ...where }),
  z.strictObject({
    wire: z.literal('llama.cpp'),
    model: z.string().min(1).default('llama.cpp'),
    adapter: name.optional(),
    /** The whole adapter list of the server, always sent in full: a list with gaps lets one adapter's answer leak into another's. */
    lora: z.array(z.strictObject({ id: z.int().min(0), scale: z.number().min(0).max(2) })).default([]),
    /** Ask the server for its list, and whether its adapters leak into each other, before anything is answered. */
    check: z.boolean().default(true),
    ...where,
  }),
  /** `model` is the base; an `adapter` is what is asked for on the wire. */
  z.strictObject({ wire: z.literal('vllm'), model: z.string().min(1), adapter: name.optional(), drainMs: milliseconds(600_000), ...where }),
  z.strictObject({ wire: z.literal('lorax'), model: z.string().min(1), adapter: name.optional(), adapterSource: z.enum(['hub', 'local', 's3', 'pbase']).optional(), /** The base's chat template, needed for blends. */ chatTemplate: z.strictObject({ file: z.string().min(1), eosToken: z.string().max(100).default('') }).optional(), ...where }),
])

type Written = z.infer<typeof written>

export const expert = written.superRefine((one, context) => {
  const wrong = (path: (string | number)[], message: string): void => { context.addIssue({ code: 'custom', path, message }) }
  if (one.baseUrl === undefined && !one.endpoints) wrong(['baseUrl'], 'wanted an address here, or several in "endpoints"')
  if (one.baseUrl !== undefined && one.endpoints) wrong(['baseUrl'], 'set both here and in "endpoints"; keep one')
  if (one.endpoints && (one.apiKey ?? one.apiKeyEnv) !== undefined) wrong(['apiKey'], 'set beside "endpoints"; give each endpoint its own')
  const digests = [one.adapterSha256, ...(one.endpoints ?? []).map((each) => each.adapterSha256)]
  const first = digests.find((each) => each !== undefined)
  for (const [at, each] of (one.endpoints ?? []).entries()) {
    // an endpoint that says nothing is taken at its perspective's word, one that says something else is another expert
    if (each.adapterSha256 !== undefined && each.adapterSha256 !== first) wrong(['endpoints', at, 'adapterSha256'], 'another adapter than the one before; all endpoints of a perspective have to serve the same one, or the disclosure would be false')
  }
  if (one.wire === 'openai' && one.model === undefined) {
    const models = new Set((one.endpoints ?? []).map((each) => each.model))
    if (models.size !== 1 || models.has(undefined)) wrong(['model'], 'wanted the model\'s name; where endpoints call it differently, the one that is to be disclosed')
  }
  for (const [at, each] of (one.endpoints ?? []).entries()) {
    if (each.model !== undefined && (one.wire === 'vllm' || one.wire === 'lorax')) wrong(['endpoints', at, 'model'], 'what is asked for there is the "adapter" of the perspective, or its "model" where there is none')
  }
  const names = (one.endpoints ?? []).map((each, at) => each.name ?? String(at + 1))
  if (new Set(names).size < names.length) wrong(['endpoints'], 'two have the same name')
})

/** One address of an expert, with its key resolved. */
export interface EndpointConfig { readonly name: string, readonly baseUrl: string, readonly apiKey: string | undefined, readonly servedAs: string, readonly weight: number }

interface Common {
  /** Disclosed. */
  readonly model: string
  readonly adapter: string | null
  readonly adapterSha256: string | null
  readonly endpoints: readonly EndpointConfig[]
  readonly pool: z.infer<typeof pool>
}

type Own<W extends Written['wire']> = Omit<Extract<Written, { wire: W }>, keyof typeof where | 'model' | 'adapter'>
export type ExpertConfig = Common & (Own<'openai'> | Own<'llama.cpp'> | Own<'vllm'> | Own<'lorax'>)

/** What was written, in one form: every expert has endpoints. Paths are taken from `root`, keys from `env`; what is missing is added to `problems`. */
export function expertConfig (id: string, one: Written, root: string, env: Readonly<Record<string, string | undefined>>, problems: string[]): ExpertConfig {
  const { baseUrl, endpoints, apiKey, apiKeyEnv, adapterSha256, pool: poolOptions, model, adapter, ...own } = one
  const all: readonly z.infer<typeof endpoint>[] = endpoints ?? [{ baseUrl: baseUrl!, weight: 1, ...(apiKey !== undefined && { apiKey }), ...(apiKeyEnv !== undefined && { apiKeyEnv }) }]
  const disclosed = model ?? all[0]!.model!
  // vLLM and LoRAX know an adapter as a model
  const asked = own.wire === 'vllm' || own.wire === 'lorax' ? adapter ?? disclosed : disclosed
  const chatTemplate = own.wire === 'lorax' && own.chatTemplate ? { ...own.chatTemplate, file: resolve(root, own.chatTemplate.file) } : undefined
  if (chatTemplate && !existsSync(chatTemplate.file)) problems.push(`experts.${id}.chatTemplate.file: there is no ${chatTemplate.file}`)
  return {
    ...own,
    ...(chatTemplate && { chatTemplate }),
    model: disclosed,
    adapter: adapter ?? null,
    adapterSha256: adapterSha256 ?? all.find((each) => each.adapterSha256 !== undefined)?.adapterSha256 ?? null,
    pool: poolOptions,
    endpoints: all.map((each, at) => {
      const path = endpoints ? `experts.${id}.endpoints.${at}` : `experts.${id}`
      if (each.apiKey && each.apiKeyEnv) problems.push(`${path}: apiKey and apiKeyEnv are both set; keep one`)
      const key = each.apiKeyEnv ? env[each.apiKeyEnv] : each.apiKey
      if (each.apiKeyEnv && !key) problems.push(`${path}.apiKeyEnv: the environment has no ${each.apiKeyEnv}`)
      return { name: each.name ?? String(at + 1), baseUrl: each.baseUrl, apiKey: key, servedAs: each.model ?? asked, weight: each.weight }
    }),
  }
}
