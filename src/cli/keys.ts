/** `parallax keys …`: options in, sentences and tables out. Knows nothing of who carries it out. */
import { parseArgs } from 'node:util'
import { SCOPES } from '../keys/keys.ts'
import type { Scope } from '../keys/keys.ts'
import type { IssuedKeyObject, KeyObject } from '../keys/wire.ts'
import { listing, UsageError, wantsHelp } from './commands.ts'
import type { Command, Context } from './commands.ts'
import { parseDuration } from './duration.ts'
import { openKeyAdmin } from './key-admin.ts'
import type { KeyAdmin } from './key-admin.ts'
import { table } from './table.ts'

const common = { json: { type: 'boolean' }, 'data-dir': { type: 'string' } } as const
const COMMON_USAGE = `  --json                     answer in JSON
  --data-dir <directory>     instead of DATA_DIR
`

interface Action { readonly summary: string, readonly usage: string, run(args: readonly string[], context: Context): Promise<void> }

async function withKeys (context: Context, values: { 'data-dir'?: string | undefined }, make: boolean, work: (keys: KeyAdmin) => Promise<void>): Promise<void> {
  const keys = await openKeyAdmin({ directory: values['data-dir'] ?? await context.dataDir(), openLog: context.openLog, openKeys: await context.sharedKeys?.(), checkDefault: context.checkDefault, make })
  try { await work(keys) } finally { await keys.close() }
}

/** The secret alone on stdout, so that `KEY=$(parallax keys create …)` works; everything about it on stderr. */
function showIssued (issued: IssuedKeyObject, json: boolean | undefined, { out, err }: Context): void {
  const { key, secret } = issued
  out(json ? `${JSON.stringify(issued)}\n` : `${secret}\n`)
  err(`Key ${key.id} for tenant ${key.tenant}, scope ${key.scopes.join(' and ')}, valid ${key.expires_at === null ? 'until it is revoked' : `until ${key.expires_at}`}.\n`)
  err('Keep the secret now: only a hash of it is stored, and it is not shown again.\n')
  if (key.scopes.includes('auditor')) err('Its bearer can read every transcript; the audit log shows that you made it.\n')
}

function oneId (positionals: readonly string[], action: string): string {
  const [id, ...more] = positionals
  if (id === undefined || more.length > 0) throw new UsageError(`Wanted one key: parallax keys ${action} <id>.`)
  // the whole key in an argument is in the shell's history and in the process list
  if (id.startsWith('plx_')) throw new UsageError('Wanted a key\'s id (k_…), not the key itself. "parallax keys list" shows the ids.')
  return id
}

function stateOf (key: KeyObject, now: string): string {
  if (key.revoked_at !== null) return 'revoked'
  if (key.expires_at !== null && key.expires_at <= now) return 'expired'
  return key.replaced_by === null ? 'valid' : 'replaced'
}

const day = (time: string | null): string => time?.slice(0, 10) ?? '-'

const QUOTA_OPTIONS = { 'requests-per-minute': { type: 'string' }, 'tokens-per-minute': { type: 'string' }, streams: { type: 'string' }, 'tokens-per-day': { type: 'string' } } as const

/** Undefined where the key is to have no limits of its own. */
function quotaOf (values: { [option in keyof typeof QUOTA_OPTIONS]?: string | undefined }): Record<string, number | null> | undefined {
  const set = Object.keys(QUOTA_OPTIONS).flatMap((option) => {
    const text = values[option as keyof typeof QUOTA_OPTIONS]
    if (text === undefined) return []
    if (text !== 'unlimited' && !/^[1-9]\d{0,12}$/.test(text)) throw new UsageError(`Wanted --${option} as a whole number from 1, or "unlimited", got ${JSON.stringify(text)}.`)
    return [[option.replaceAll('-', '_'), text === 'unlimited' ? null : Number(text)] as const]
  })
  return set.length === 0 ? undefined : Object.fromEntries(set)
}

const QUOTA_WORDS: Readonly<Record<string, string>> = { requests_per_minute: 'request(s)/min', tokens_per_minute: 'token(s)/min', streams: 'stream(s)', tokens_per_day: 'token(s)/day' }

/** A key's own limits in a word each; what it leaves to the configuration is not known to the key. */
const limitsOf = ({ quota }: KeyObject): string =>
  Object.entries(quota).map(([name, limit]) => `${limit ?? 'unlimited'} ${QUOTA_WORDS[name]!.replace('(s)', limit === 1 ? '' : 's')}`).join(', ') || '-'

const ACTIONS: Readonly<Record<string, Action>> = {
  create: {
    summary: 'make a key and show it once',
    usage: `Usage: parallax keys create --scope <scope> [options]

  --scope <scope>            app (chat, feedback), auditor (reads the log) or admin (keys, configuration); repeatable
  --name <name>              for people; not in the log
  --tenant <tenant>          an existing tenant (t_…), to give it a second key; without it: a new one
  --default-perspective <p>  used where a request names none: an id, both, mix-0.50
  --requests-per-minute <n>  a limit of its own instead of the configuration's, or "unlimited"; in the same way
  --tokens-per-minute <n>, --streams <n> (at a time), --tokens-per-day <n>
  --expires <time>           such as 30d, 12h or 1y; without it: until it is revoked
${COMMON_USAGE}`,
    async run (args, context) {
      const { values } = parseArgs({
        args: [...args],
        options: { ...common, scope: { type: 'string', multiple: true }, name: { type: 'string' }, tenant: { type: 'string' }, 'default-perspective': { type: 'string' }, expires: { type: 'string' }, ...QUOTA_OPTIONS },
      })
      const scopes = [...new Set((values.scope ?? []).flatMap((one) => one.split(',')))]
      const unknown = scopes.find((one) => !SCOPES.includes(one as Scope))
      if (scopes.length === 0 || unknown !== undefined) throw new UsageError(`Wanted --scope ${SCOPES.join('|')}${unknown === undefined ? '' : `, got ${JSON.stringify(unknown)}`}.`)
      const expires = values.expires === undefined ? undefined : parseDuration('--expires', values.expires)
      const quota = quotaOf(values)
      await withKeys(context, values, true, async (keys) => showIssued(await keys.create({
        scopes: scopes as Scope[],
        ...(values.name === undefined ? {} : { name: values.name }),
        ...(values.tenant === undefined ? {} : { tenant: values.tenant }),
        ...(values['default-perspective'] === undefined ? {} : { default_perspective: values['default-perspective'] }),
        ...(quota === undefined ? {} : { quota }),
        ...(expires === undefined ? {} : { expires_in_seconds: expires }),
      }), values.json, context))
    },
  },
  list: {
    summary: 'show all keys, never their secrets',
    usage: `Usage: parallax keys list [options]\n\n${COMMON_USAGE}`,
    async run (args, context) {
      const { values } = parseArgs({ args: [...args], options: common })
      await withKeys(context, values, false, async (keys) => {
        const found = await keys.list()
        if (values.json) return context.out(`${JSON.stringify({ keys: found })}\n`)
        if (found.length === 0) return context.out('There are no keys yet. "parallax keys create --scope app" makes one.\n')
        const now = new Date().toISOString()
        context.out(table(
          ['id', 'state', 'scopes', 'tenant', 'created', 'expires', 'last used', 'limits', 'name'],
          found.map((key) => [key.id, stateOf(key, now), key.scopes.join(','), key.tenant, day(key.created_at), day(key.expires_at), day(key.last_used_at), limitsOf(key), key.name]),
        ))
      })
    },
  },
  revoke: {
    summary: 'stop a key at once',
    usage: `Usage: parallax keys revoke <id> [options]\n\n${COMMON_USAGE}`,
    async run (args, context) {
      const { values, positionals } = parseArgs({ args: [...args], options: common, allowPositionals: true })
      const id = oneId(positionals, 'revoke')
      await withKeys(context, values, false, async (keys) => {
        const key = await keys.revoke(id)
        context.out(values.json ? `${JSON.stringify(key)}\n` : `Key ${key.id} is revoked since ${key.revoked_at}.\n`)
      })
    },
  },
  rotate: {
    summary: 'give a key a new secret; the old one works a while longer',
    usage: `Usage: parallax keys rotate <id> [options]

  --overlap <time>           how long the old key works beside the new one, such as 1d (the default), 2h or 0
${COMMON_USAGE}`,
    async run (args, context) {
      const { values, positionals } = parseArgs({ args: [...args], options: { ...common, overlap: { type: 'string', default: '1d' } }, allowPositionals: true })
      const id = oneId(positionals, 'rotate')
      const overlap = parseDuration('--overlap', values.overlap)
      await withKeys(context, values, false, async (keys) => showIssued(await keys.rotate(id, overlap), values.json, context))
    },
  },
}

export const keys: Command = {
  usage: `Usage: parallax keys <action> [options]

Actions:
${listing(ACTIONS)}

parallax keys <action> --help says more. The running gateway does it; where none runs, the command does.
`,
  async run ([name, ...rest], context) {
    const action = name !== undefined && Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
    if (action === undefined) throw new UsageError(`${name === undefined ? 'An action is missing' : `Unknown action ${JSON.stringify(name)}`}. Wanted one of: ${Object.keys(ACTIONS).join(', ')}.`)
    if (wantsHelp(rest)) return context.out(action.usage)
    await action.run(rest, context)
  },
}
