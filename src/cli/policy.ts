/** `parallax policy …`: what the policy says to a text, and how well it does. Needs no gateway, and reads no log. */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { reportPage } from '../evaluation/policy/page.ts'
import { policyReport } from '../evaluation/policy/report.ts'
import { loadPolicy, POLICY_FILE } from '../router/policy.ts'
import { listing, UsageError, wantsHelp, type Command, type Context } from './commands.ts'

const FOLDER = dirname(POLICY_FILE)
const TWINVIEWS = fileURLToPath(new URL('../../training/data/twinviews-13k.csv', import.meta.url))

interface Action { readonly summary: string, readonly usage: string, run (args: readonly string[], context: Context): void }

const ACTIONS: Readonly<Record<string, Action>> = {
  report: {
    summary: 'measure the policy on the labelled prompts and on ordinary political talk',
    usage: `Usage: parallax policy report [options]

Precision and recall by rule and side, with intervals, and whether the sides are treated alike.

  --write                    into policy/report.json and policy/report.md
  --json                     answer in JSON
`,
    run (args, context) {
      const { values } = parseArgs({ args: [...args], options: { write: { type: 'boolean' }, json: { type: 'boolean' } } })
      const report = policyReport(loadPolicy(), { folder: FOLDER, twinviews: TWINVIEWS })
      const [json, page] = [`${JSON.stringify(report, null, 2)}\n`, reportPage(report)]
      if (values.write) {
        writeFileSync(join(FOLDER, 'report.json'), json)
        writeFileSync(join(FOLDER, 'report.md'), page)
      }
      context.out(values.json ? json : page)
    },
  },
  try: {
    summary: 'say which rule a text falls under',
    usage: `Usage: parallax policy try [options] <turn>…

Each argument is a turn of the user's, the oldest first; "-" reads one from standard input.

  --system <text>            a system prompt before them
  --file <policy.json>       another policy than the shipped one, checked first
  --json                     answer in JSON
`,
    run (args, context) {
      const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { system: { type: 'string' }, file: { type: 'string' }, json: { type: 'boolean' } } })
      if (positionals.length === 0) throw new UsageError('Wanted at least one turn.')
      const users = positionals.map((turn) => turn === '-' ? readFileSync(0, 'utf8') : turn)
      const policy = loadPolicy(values.file === undefined ? {} : { file: values.file })
      const ruling = policy.rule({ system: values.system ?? '', users }, new Date())
      if (values.json) return context.out(`${JSON.stringify({ ruling })}\n`)
      context.out(ruling ? `${ruling.rule} (${ruling.kind}, policy ${ruling.version})\n\n${ruling.text}\n` : 'No rule applies: the perspective that is asked for answers.\n')
    },
  },
}

export const policy: Command = {
  usage: `Usage: parallax policy <action> [options]

Actions:
${listing(ACTIONS)}

parallax policy <action> --help says more.
`,
  async run ([name, ...rest], context) {
    const action = name !== undefined && Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
    if (action === undefined) throw new UsageError(`${name === undefined ? 'An action is missing' : `Unknown action ${JSON.stringify(name)}`}. Wanted one of: ${Object.keys(ACTIONS).join(', ')}.`)
    if (wantsHelp(rest)) return context.out(action.usage)
    action.run(rest, context)
  },
}
