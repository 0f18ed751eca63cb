/**
 * The only reader of the environment and of the configuration file.
 * Reports every mistake at once, each with what was wanted, what came and where it was set. Starts nothing.
 */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { isAbsolute, relative, resolve } from 'node:path'
import { z } from 'zod'
import { parseCosigner } from './audit/note.ts'
import { expert, expertConfig, httpUrl, type ExpertConfig } from './expert-config.ts'
import { LARGEST_QUOTA } from './quota.ts'
import { electionWindow } from './router/policy/document.ts'
import { unknownVariables } from './unknown-variables.ts'
import { modelPath, whyNoModel } from '../setup/model-path.js'

const MIB = 1024 * 1024

const witnessKey = z.string().superRefine((vkey, context) => {
  try { parseCosigner(vkey) } catch (error) { context.addIssue({ code: 'custom', message: (error as Error).message }) }
})

const everySeconds = z.int().min(10).max(86_400).default(3600)

const anchor = z.discriminatedUnion('to', [
  /** Outside of the data directory, and best on another machine's disk: what goes down with the log proves nothing of it. */
  z.strictObject({ to: z.literal('file'), path: z.string().min(1), everySeconds }),
  z.strictObject({ to: z.literal('url'), url: httpUrl, method: z.enum(['PUT', 'POST']).default('POST'), everySeconds }),
  /** C2SP tlog-witness: the submission prefix and the witness's verifier key. */
  z.strictObject({ to: z.literal('witness'), url: httpUrl, vkey: witnessKey, everySeconds }),
])
export type AnchorConfig = z.infer<typeof anchor>

const port = z.int().min(0).max(65535)
const count = (low: number, high: number, fallback: number) => z.int().min(low).max(high).default(fallback)

const quota = z.int().min(1).max(LARGEST_QUOTA).nullable().default(null)

const schema = z.strictObject({
  host: z.string().min(1).default('127.0.0.1'),
  port: port.default(3000),
  dataDir: z.string().min(1).default('data'),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  /** Who runs this gateway: named in every AI-Disclosure header. */
  provider: z.string().regex(/^[\x20-\x7e]{1,80}$/, 'wanted 1 to 80 printable ASCII characters').default('Parallax operator'),
  corsOrigins: z.array(z.string().min(1)).default([]),
  /** Folders that hold one folder a perspective. */
  perspectives: z.array(z.string().min(1)).min(1).default(['perspectives']),
  /** Perspective id -> where its answers come from. A perspective without a line is served by the embedded engine. */
  experts: z.record(z.string(), expert).default({}),
  engine: z.strictObject({
    enabled: z.boolean().default(true),
    /** Absent: all cores but one, for llama.cpp collapses when its threads have to share. */
    threads: z.int().min(1).max(256).optional(),
    /** Of these, for one perspective's answers; absent: all. With 1, several perspectives that are asked at once have a core each. */
    contextThreads: z.int().min(1).max(256).optional(),
    contextSize: count(128, 131_072, 2048),
    sequences: count(1, 64, 4),
    queueLimit: count(0, 10_000, 64),
  }).prefault({}),
  policy: z.strictObject({
    /** Times in which the policy's rules for elections apply as well; none unless they are set here. */
    electionWindows: z.array(electionWindow).max(64).default([]),
  }).prefault({}),
  audit: z.strictObject({
    /** The log's name in its checkpoints, such as example.com/parallax; once chosen it stays. Absent: made from the log's key. */
    origin: z.string().regex(/^[^\s+]{1,255}$/, 'wanted a name without spaces and "+"').optional(),
    /** A file of key-encryption keys (base64, one a line, the current one first). Absent: kek.keys in the data directory. */
    kekFile: z.string().min(1).optional(),
    /** How long transcripts are kept, in days; 0 is for ever. The leaves stay. */
    retentionDays: count(0, 36_500, 180),
    /** Where the log's checkpoints are published. */
    anchors: z.array(anchor).max(32).default([]),
  }).prefault({}),
  /** How long a secret of the draws is used before it is revealed and another takes its place. */
  draws: z.strictObject({ epochHours: z.number().min(0.01).max(8760).default(24) }).prefault({}),
  cache: z.strictObject({
    enabled: z.boolean().default(true),
    bytes: count(0, 64 * 1024 * MIB, 64 * MIB),
    ttlSeconds: count(1, 31_536_000, 3600),
  }).prefault({}),
  /** What a key may use that sets nothing of its own; null is unlimited. */
  quota: z.strictObject({ requestsPerMinute: quota, tokensPerMinute: quota, streams: quota, tokensPerDay: quota }).prefault({}),
  /** Answers kept for whoever comes again with the same Idempotency-Key. */
  idempotency: z.strictObject({
    ttlSeconds: count(60, 31_536_000, 86_400),
    /** Of this process's memory; a shared Redis is bounded by its own maxmemory. */
    bytes: count(0, 64 * 1024 * MIB, 64 * MIB),
  }).prefault({}),
  limits: z.strictObject({
    bodyBytes: count(1024, 256 * MIB, 4 * MIB),
    messages: count(1, 100_000, 2048),
    choices: count(1, 128, 8),
    /** What a choice is taken to cost, in tokens, until it is known, where its request sets no limit. */
    completionTokens: count(1, 10_000_000, 1024),
    /** Whole answer of an expert, in bytes. */
    answerBytes: count(1024, 1024 * MIB, 16 * MIB),
    requestReceiveMs: count(100, 600_000, 15_000),
    firstChunkMs: count(100, 3_600_000, 120_000),
    chunkGapMs: count(100, 3_600_000, 60_000),
    totalMs: count(100, 86_400_000, 600_000),
    /** Bytes held for a reader that is slower than the expert. */
    readerBufferBytes: count(1024, 64 * MIB, 256 * 1024),
    /** How long such a reader may take nothing at all. */
    readerStallMs: count(100, 3_600_000, 60_000),
    shutdownMs: count(0, 3_600_000, 20_000),
  }).prefault({}),
})

type Settings = z.infer<typeof schema>

export interface Config extends Omit<Settings, 'dataDir' | 'perspectives' | 'experts'> {
  readonly experts: Readonly<Record<string, ExpertConfig>>
  /** Absolute paths. */
  readonly dataDir: string
  readonly perspectives: readonly string[]
  /** The base model's file, or why there is none. */
  readonly model: { readonly path: string } | { readonly missing: string }
  /** DATABASE_URL: the PostgreSQL that keeps the log; absent: SQLite in the data directory. A secret, and never in the file. */
  readonly databaseUrl: string | undefined
  /** REDIS_URL: the Redis that replicas share for cache, limits and idempotency; absent: this process's memory. A secret, and never in the file. */
  readonly redisUrl: string | undefined
  /** Key-encryption keys from PARALLAX_KEK, which is a secret and never in the file. */
  readonly kek: string | undefined
  /** Only this machine can reach the gateway. */
  readonly loopback: boolean
}

/** All mistakes of the environment and the file together. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]
  constructor (problems: readonly string[]) {
    super(`The configuration has ${problems.length === 1 ? 'a mistake' : `${problems.length} mistakes`}:\n${problems.map((line) => `  - ${line}`).join('\n')}`)
    this.problems = problems
  }
}

/** Environment variable -> path in the settings and how its text is read. */
const VARIABLES: Record<string, { path: [string, ...string[]], read: 'text' | 'number' | 'list' | 'flag' }> = {
  HOST: { path: ['host'], read: 'text' },
  PORT: { path: ['port'], read: 'number' },
  DATA_DIR: { path: ['dataDir'], read: 'text' },
  LOG_LEVEL: { path: ['logLevel'], read: 'text' },
  PARALLAX_PROVIDER: { path: ['provider'], read: 'text' },
  PARALLAX_CORS_ORIGINS: { path: ['corsOrigins'], read: 'list' },
  PARALLAX_PERSPECTIVES: { path: ['perspectives'], read: 'list' },
  PARALLAX_ENGINE: { path: ['engine', 'enabled'], read: 'flag' },
  PARALLAX_ENGINE_THREADS: { path: ['engine', 'threads'], read: 'number' },
  PARALLAX_ENGINE_CONTEXT_THREADS: { path: ['engine', 'contextThreads'], read: 'number' },
  PARALLAX_ENGINE_CONTEXT: { path: ['engine', 'contextSize'], read: 'number' },
  PARALLAX_ENGINE_SEQUENCES: { path: ['engine', 'sequences'], read: 'number' },
  PARALLAX_ENGINE_QUEUE: { path: ['engine', 'queueLimit'], read: 'number' },
  PARALLAX_KEK_FILE: { path: ['audit', 'kekFile'], read: 'text' },
  PARALLAX_RETENTION_DAYS: { path: ['audit', 'retentionDays'], read: 'number' },
  PARALLAX_LOG_ORIGIN: { path: ['audit', 'origin'], read: 'text' },
  PARALLAX_CACHE_BYTES: { path: ['cache', 'bytes'], read: 'number' },
  PARALLAX_REQUESTS_PER_MINUTE: { path: ['quota', 'requestsPerMinute'], read: 'number' },
  PARALLAX_TOKENS_PER_MINUTE: { path: ['quota', 'tokensPerMinute'], read: 'number' },
  PARALLAX_STREAMS: { path: ['quota', 'streams'], read: 'number' },
  PARALLAX_TOKENS_PER_DAY: { path: ['quota', 'tokensPerDay'], read: 'number' },
  PARALLAX_IDEMPOTENCY_TTL: { path: ['idempotency', 'ttlSeconds'], read: 'number' },
  PARALLAX_MAX_BODY_BYTES: { path: ['limits', 'bodyBytes'], read: 'number' },
  PARALLAX_MAX_MESSAGES: { path: ['limits', 'messages'], read: 'number' },
  PARALLAX_TOTAL_MS: { path: ['limits', 'totalMs'], read: 'number' },
}

/** Beside those: what has no member in the settings, or a rule of its own. */
const SINGLE = ['PARALLAX_CONFIG', 'PARALLAX_ANCHOR_FILE', 'PARALLAX_KEK']

/** A number or a flag that cannot be read stays text, and the schema would say of it that it is none. */
const WANTED = { text: 'wanted a text', number: 'wanted a number', list: 'wanted a list, with commas', flag: 'wanted true or false' } as const

function readValue (text: string, read: 'text' | 'number' | 'list' | 'flag'): unknown {
  if (read === 'list') return text.split(',').map((part) => part.trim()).filter((part) => part !== '')
  // an unreadable number stays text, so that the schema names what came
  if (read === 'number') return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text
  if (read === 'flag') return ({ 1: true, true: true, on: true, 0: false, false: false, off: false } as Record<string, boolean>)[text.toLowerCase()] ?? text
  return text
}

function readFile (path: string, problems: string[]): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
    problems.push(`${path}: wanted a JSON object`)
  } catch (error) {
    problems.push(`PARALLAX_CONFIG: cannot read ${path}: ${(error as Error).message}`)
  }
  return {}
}

function isWithin (folder: string, path: string): boolean {
  const way = relative(folder, path)
  return !isAbsolute(way) && !/^\.\.(?:[/\\]|$)/.test(way)
}

/** A file of the environment's comes beside the anchors of the configuration file: in their place it would silently dismiss witnesses. */
function addAnchor (input: Record<string, unknown>, path: string): void {
  const audit = (input['audit'] ??= {}) as { anchors?: unknown }
  // what is no list, or no object, is left for the schema to name
  if (typeof audit === 'object' && Array.isArray(audit.anchors ??= [])) audit.anchors.push({ to: 'file', path })
}

function hasScheme (text: string, schemes: readonly string[]): boolean {
  try { return schemes.includes(new URL(text).protocol) } catch { return false }
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))

/**
 * Reads the configuration. The environment wins over the file (`PARALLAX_CONFIG`, JSON), the file over the defaults;
 * relative paths are taken from `root`. Throws ConfigError.
 */
export function loadConfig (env: Readonly<Record<string, string | undefined>>, root: string = process.cwd()): Config {
  const problems: string[] = []
  const file = env['PARALLAX_CONFIG']
  const input: Record<string, unknown> = file ? structuredClone(readFile(resolve(root, file), problems)) : {}
  const setBy = new Map<string, string>()
  for (const [variable, { path, read }] of Object.entries(VARIABLES)) {
    const text = env[variable]
    if (text === undefined || text === '') continue
    setBy.set(path.join('.'), variable)
    let place = input
    for (const name of path.slice(0, -1)) place = (place[name] ??= {}) as Record<string, unknown>
    place[path.at(-1)!] = readValue(text, read)
  }
  if (env['PARALLAX_ANCHOR_FILE']) addAnchor(input, env['PARALLAX_ANCHOR_FILE'])
  const parsed = schema.safeParse(input)
  for (const issue of parsed.error?.issues ?? []) {
    const path = issue.path.join('.')
    const variable = setBy.get(path)
    problems.push(variable === undefined
      ? `${file ?? 'configuration'}: ${path || '(whole file)'}: ${issue.message}`
      : `${variable}: ${issue.code === 'invalid_type' ? WANTED[VARIABLES[variable]!.read] : issue.message}; it is ${JSON.stringify(env[variable]!.slice(0, 80))}`)
  }
  problems.push(...unknownVariables(env, [...Object.keys(VARIABLES), ...SINGLE], input))
  const settings = parsed.data
  if (!settings) throw new ConfigError(problems)
  const experts = Object.fromEntries(Object.entries(settings.experts).map(([id, one]) => [id, expertConfig(id, one, root, env, problems)]))
  const dataDir = resolve(root, settings.dataDir)
  const anchors = settings.audit.anchors.map((one) => one.to === 'file' ? { ...one, path: resolve(root, one.path) } : one)
  for (const [at, one] of anchors.entries()) {
    if (one.to === 'file' && isWithin(dataDir, one.path)) problems.push(`audit.anchors.${at}.path: ${one.path} lies in the data directory, and would be set back together with the log; choose a place elsewhere`)
  }
  const databaseUrl = env['DATABASE_URL'] === '' ? undefined : env['DATABASE_URL']
  // said without its text: it holds a password
  if (databaseUrl !== undefined && !hasScheme(databaseUrl, ['postgres:', 'postgresql:'])) problems.push('DATABASE_URL: wanted postgres://user:password@host:port/database')
  const redisUrl = env['REDIS_URL'] === '' ? undefined : env['REDIS_URL']
  if (redisUrl !== undefined && !hasScheme(redisUrl, ['redis:', 'rediss:'])) problems.push('REDIS_URL: wanted redis://user:password@host:port/number, or rediss:// for TLS')
  if (problems.length > 0) throw new ConfigError(problems)
  const found = modelPath(env)
  return {
    ...settings,
    experts,
    dataDir,
    audit: { ...settings.audit, anchors, ...(settings.audit.kekFile !== undefined && { kekFile: resolve(root, settings.audit.kekFile) }) },
    perspectives: settings.perspectives.map((folder) => resolve(root, folder)),
    model: typeof found === 'string' ? { path: found } : { missing: whyNoModel(env) },
    databaseUrl,
    redisUrl,
    kek: env['PARALLAX_KEK'] === '' ? undefined : env['PARALLAX_KEK'],
    loopback: isLoopback(settings.host),
  }
}
