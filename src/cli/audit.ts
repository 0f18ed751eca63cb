/** `parallax audit …`: what becomes of transcripts. Options in, sentences out. */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { controlPath, isHeld } from '../control.ts'
import { erasureBody, holdBody, type HoldObject } from '../retention/wire.ts'
import { OUTPUTS_USAGE } from './audit-outputs-usage.ts'
import { listing, UsageError, wantsHelp, type Command, type Context } from './commands.ts'
import { parseDuration } from './duration.ts'
import { openTranscriptAdmin, type TranscriptAdmin } from './transcript-admin.ts'

const common = { json: { type: 'boolean' }, 'data-dir': { type: 'string' } } as const
const who = { record: { type: 'string', multiple: true }, tenant: { type: 'string' }, user: { type: 'string' }, reason: { type: 'string' } } as const
const COMMON_USAGE = `  --json                     answer in JSON
  --data-dir <directory>     instead of DATA_DIR
`
const DAY_SECONDS = 86_400

interface Action { readonly summary: string, readonly usage: string, run (args: readonly string[], context: Context): Promise<void> }

async function withAdmin (context: Context, values: { 'data-dir'?: string | undefined }, work: (admin: TranscriptAdmin) => Promise<void>): Promise<void> {
  const admin = await openTranscriptAdmin(values['data-dir'] ?? await context.dataDir(), context.openLog)
  try { await work(admin) } finally { await admin.close() }
}

/** Wrong options are the caller's mistake, told as such. `choice`: what to say where none or too many were given. */
function checked<T> (schema: z.ZodType<T>, value: unknown, choice: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const { path: [member], message } = parsed.error.issues[0]!
  const said = ({ 'Invalid UUID': 'wanted an exchange\'s id, as it stands in the header X-Audit-Record' } as Record<string, string>)[message] ?? message
  // a body's names are the options', but for these
  const option = ({ name: 'The hold\'s name', records: '--record', end_user: '--user' } as Record<string, string>)[String(member)] ?? `--${String(member)}`
  throw new UsageError(member === undefined ? choice : `${option}: ${said}.`)
}

const userOf = (tenant: string | undefined, user: string | undefined): { tenant: string, id: string } | undefined => {
  if (user === undefined) return undefined
  if (tenant === undefined) throw new UsageError('An end user is known only within a tenant: give --tenant as well.')
  return { tenant, id: user }
}

const scopeText = (hold: HoldObject): string => hold.all ? 'everything' : hold.end_user ? 'one end user' : hold.tenant === undefined ? plural(hold.records!.length, 'record') : `tenant ${hold.tenant}`
const plural = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`

const NOTHING_ERASED = 'Nothing was erased: there is no transcript (any more) of this end user of this tenant. "parallax keys list" shows the tenants; the name is what requests gave as "user" or "safety_identifier".\n'

const ACTIONS: Readonly<Record<string, Action>> = {
  outputs: {
    summary: 'score a sample of what was served, and alert where it drifts',
    usage: OUTPUTS_USAGE,
    // the judges and their lists are loaded for this alone
    run: async (args, context) => (await import('./audit-outputs.ts')).auditOutputs(args, context),
  },
  erase: {
    summary: 'destroy the transcripts of an exchange or of an end user',
    usage: `Usage: parallax audit erase --record <id> --reason <words> [options]
       parallax audit erase --tenant <t_…> --user <their name for the person> --reason <words> [options]

The leaves stay, so the log still verifies; an "erasure" record says what was done. It cannot be undone.
Backups made before hold the transcripts until the key-encryption key of that time is destroyed (parallax audit rotate-kek).

  --record <id>              the exchange, as in the header X-Audit-Record
  --tenant <t_…> --user <name>  all of one end user: the name is what requests gave as "user" or "safety_identifier"
  --reason <words>           stands in the log for ever: a case number, nothing personal
${COMMON_USAGE}`,
    async run (args, context) {
      const { values } = parseArgs({ args: [...args], options: { ...common, ...who } })
      if ((values.record?.length ?? 0) > 1) throw new UsageError('One --record at a time.')
      if (values.reason === undefined) throw new UsageError('Wanted --reason: it stands in the log for ever.')
      const body = checked(erasureBody, { record: values.record?.[0], end_user: userOf(values.tenant, values.user), reason: values.reason }, 'Wanted --record, or --tenant and --user.')
      await withAdmin(context, values, async (admin) => {
        const done = await admin.erase(body)
        if (values.json) return context.out(`${JSON.stringify(done)}\n`)
        if (done.records === 0 && done.held.length === 0 && done.open.length === 0) return context.out(NOTHING_ERASED)
        context.out(`Erased the transcripts of ${plural(done.records, 'exchange')}${done.leaves.length > 0 ? `, on record as ${done.leaves.join(', ')}` : ''}.\n`)
        for (const { record, hold } of done.held) context.out(`Kept ${record}: under the hold "${hold}".\n`)
        for (const record of done.open) context.out(`Left ${record}: it is still being answered. Run this again.\n`)
      })
    },
  },
  hold: {
    summary: 'keep transcripts from erasure and expiry',
    usage: `Usage: parallax audit hold <name> (--record <id>… | --tenant <t_…> [--user <name>] | --all) --reason <words> [options]

What is under a hold is neither erased nor expired until the hold is lifted. That it was set is itself a record.

  <name>                     a name of your own, such as case-7
  --record <id>              one exchange, as in the header X-Audit-Record; repeatable
  --tenant <t_…>             all of a tenant, or with --user of one end user of it
  --all                      everything
  --reason <words>           stands in the log for ever: a case number, nothing personal
${COMMON_USAGE}`,
    async run (args, context) {
      const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { ...common, ...who, all: { type: 'boolean' } } })
      if (positionals.length !== 1 || values.reason === undefined) throw new UsageError('Wanted: parallax audit hold <name> … --reason <words>.')
      const user = userOf(values.tenant, values.user)
      const body = checked(holdBody, { name: positionals[0], records: values.record, ...(user ? { end_user: user } : { tenant: values.tenant }), all: values.all, reason: values.reason }, 'Wanted one of --record, --tenant (with --user or without) and --all.')
      await withAdmin(context, values, async (admin) => {
        await admin.hold(body)
        context.out(values.json ? `${JSON.stringify({ name: body.name })}\n` : `The hold "${body.name}" is set.\n`)
      })
    },
  },
  lift: {
    summary: 'end a hold',
    usage: `Usage: parallax audit lift <name> --reason <words> [options]\n\n${COMMON_USAGE}`,
    async run (args, context) {
      const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { ...common, reason: who.reason } })
      const [name, ...more] = positionals
      if (name === undefined || more.length > 0 || values.reason === undefined) throw new UsageError('Wanted: parallax audit lift <name> --reason <words>.')
      const { reason } = values
      await withAdmin(context, values, async (admin) => {
        await admin.lift(name, reason)
        context.out(values.json ? `${JSON.stringify({ name })}\n` : `The hold "${name}" is lifted. What is past its time expires with the next round.\n`)
      })
    },
  },
  holds: {
    summary: 'list the holds',
    usage: `Usage: parallax audit holds [options]\n\n${COMMON_USAGE}`,
    async run (args, context) {
      const { values } = parseArgs({ args: [...args], options: common })
      await withAdmin(context, values, async (admin) => {
        const holds = await admin.holds()
        if (values.json) return context.out(`${JSON.stringify({ holds })}\n`)
        context.out(holds.length === 0 ? 'There are no holds.\n' : holds.map((hold) => `${hold.name}  ${scopeText(hold)}\n`).join(''))
      })
    },
  },
  expire: {
    summary: 'let transcripts expire that are older than some time',
    usage: `Usage: parallax audit expire --older-than <time> [options]

The gateway does so by itself every hour, by audit.retentionDays of its configuration (180 unless set).

  --older-than <time>        such as 180d or 1y, in whole days
${COMMON_USAGE}`,
    async run (args, context) {
      const { values } = parseArgs({ args: [...args], options: { ...common, 'older-than': { type: 'string' } } })
      if (values['older-than'] === undefined) throw new UsageError('Wanted --older-than, such as 180d.')
      const seconds = parseDuration('--older-than', values['older-than'])
      if (seconds % DAY_SECONDS !== 0) throw new UsageError('Wanted --older-than in whole days.')
      await withAdmin(context, values, async (admin) => {
        const done = await admin.expire(seconds / DAY_SECONDS)
        context.out(values.json ? `${JSON.stringify(done)}\n` : `${plural(done.transcripts, 'transcript')} expired.\n`)
      })
    },
  },
  'rotate-kek': {
    summary: 'seal every transcript\'s key under a new key-encryption key',
    usage: `Usage: parallax audit rotate-kek [options]

Where the keys are kept outside (PARALLAX_KEK, PARALLAX_KEK_FILE), it says how to rotate there.

${COMMON_USAGE}`,
    async run (args, context) {
      const { values } = parseArgs({ args: [...args], options: common })
      await withAdmin(context, values, async (admin) => {
        const done = await admin.rotate()
        context.out(values.json ? `${JSON.stringify(done)}\n` : `The keys of ${plural(done.rewrapped, 'transcript')} are under ${done.to} now, on record as ${done.record}. Backups made before open only with the old key.\n`)
      })
    },
  },
  'accept-restore': {
    summary: 'go on from an older backup, with the loss on record',
    usage: `Usage: parallax audit accept-restore --reason <words> [options]

For a log that a start refuses because it stands behind what was signed. A "log.restored" record says up to which size
leaves were lost; whoever kept a later checkpoint will see that the history is another, and can read why. No gateway may run.

${COMMON_USAGE}`,
    async run (args, context) {
      await offline(args, context, 'accept-restore', async (doings, directory, reason) => {
        await doings.acceptRestore(directory, reason)
        return { text: 'The loss is on record, and the log goes on. Give the newest checkpoint to everyone who keeps them.', json: { accepted: true } }
      })
    },
  },
  'rotate-log-key': {
    summary: 'have another key sign the log from the next start on',
    usage: `Usage: parallax audit rotate-log-key --reason <words> [options]

A "log.rekeyed" record, still under the old key, names the new one. The log's name stays. Publish the new key where you
published the old one; what the old key signed stays signed. No gateway may run.

${COMMON_USAGE}`,
    async run (args, context) {
      await offline(args, context, 'rotate-log-key', async (doings, directory, reason) => {
        const done = await doings.rotateLogKey(directory, reason)
        return { text: `The log's key was ${done.from}\nand is now     ${done.to}\non record as ${done.record}. Publish the new one where you published the old.`, json: done }
      })
    },
  },
}

/** A doing that wants the log for itself. */
async function offline (args: readonly string[], context: Context, name: string, work: (doings: NonNullable<Context['offline']>, directory: string, reason: string) => Promise<{ text: string, json: unknown }>): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { ...common, reason: who.reason } })
  const reason = values.reason?.trim() ?? ''
  if (reason === '' || reason.length > 500) throw new UsageError(`Wanted: parallax audit ${name} --reason <at most 500 characters>. It stands in the log for ever.`)
  const directory = values['data-dir'] ?? await context.dataDir()
  if (await isHeld(controlPath(directory))) throw new Error(`A gateway runs on ${directory}, and this wants the log for itself. Stop the gateway, run this again, and start it.`)
  if (!existsSync(directory)) throw new Error(`There is no data directory ${directory}. DATA_DIR and --data-dir set it.`)
  const { text, json } = await work(context.offline!, directory, reason)
  context.out(values.json ? `${JSON.stringify(json)}\n` : `${text}\n`)
}

export const audit: Command = {
  usage: `Usage: parallax audit <action> [options]

Actions:
${listing(ACTIONS)}

parallax audit <action> --help says more. The running gateway does it; where none runs, the command does.
`,
  async run ([name, ...rest], context) {
    const action = name !== undefined && Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
    if (action === undefined) throw new UsageError(`${name === undefined ? 'An action is missing' : `Unknown action ${JSON.stringify(name)}`}. Wanted one of: ${Object.keys(ACTIONS).join(', ')}.`)
    if (wantsHelp(rest)) return context.out(action.usage)
    await action.run(rest, context)
  },
}
