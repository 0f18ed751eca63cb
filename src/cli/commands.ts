/**
 * The commands of `parallax` and how one is chosen, helped and ended. A command is loaded only when it is called, so that
 * `--help` needs nothing and a broken one does not break the others. Knows nothing of what any of them does.
 */
import { ParallaxError } from '../errors.ts'
import type { AuditLog } from '../audit/log.ts'
import type { Config } from '../config.ts'
import type { KeyStore } from '../keys/keys.ts'
import type { KeyLeaves } from '../keys/leaves.ts'

/** What a command may touch. The entry file gives the real ones, a test its own. */
export interface Context {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** The data directory, unless `--data-dir` names another. Throws when the configuration has mistakes. */
  readonly dataDir: () => string | Promise<string>
  /** The whole configuration, for commands that need more of it. Throws when it has mistakes. */
  readonly settings?: (directory?: string) => Promise<Config>
  /** Throws when another process holds the log. */
  readonly openLog: (directory: string) => AuditLog | Promise<AuditLog>
  /** How keys are opened that are not in the data directory; undefined where they are. */
  readonly sharedKeys?: () => Promise<((directory: string, audit: KeyLeaves) => Promise<KeyStore>) | undefined>
  /** Throws where a key's default perspective is nothing that can be asked for. */
  readonly checkDefault?: (name: string) => Promise<void>
  /** Whether `err` writes to a terminal, where a bar may redraw itself. */
  readonly terminal?: boolean
  /** For keys, and for processes that a command starts. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** What can be done to a log only while nobody has it open. */
  readonly offline?: {
    acceptRestore (directory: string, reason: string): Promise<void>
    rotateLogKey (directory: string, reason: string): Promise<{ readonly from: string, readonly to: string, readonly record: string }>
  }
}

export interface Command {
  readonly usage: string
  run(args: readonly string[], context: Context): Promise<void>
}

interface Listed { readonly summary: string, readonly load: () => Promise<Command> }

export const COMMANDS: Readonly<Record<string, Listed>> = {
  verify: { summary: 'check an export of an audit log, as a stranger would', load: async () => (await import('./verify.ts')).verify },
  receipt: { summary: 'check the receipt of one exchange, offline', load: async () => (await import('./receipt.ts')).receipt },
  audit: { summary: 'audit what was served; erase, hold and expire transcripts; rotate the key that seals them', load: async () => (await import('./audit.ts')).audit },
  draws: { summary: 'compute every draw of an export again', load: async () => (await import('./draws.ts')).draws },
  evaluate: { summary: 'measure the perspectives through the API, and report', load: async () => (await import('./evaluate.ts')).evaluate },
  policy: { summary: 'try the policy of use on a text, and measure it', load: async () => (await import('./policy.ts')).policy },
  datasets: { summary: 'from sources to training data, stage by stage', load: async () => (await import('./datasets.ts')).datasets },
  train: { summary: 'train the perspectives, here or at a service', load: async () => (await import('./train.ts')).train },
  release: { summary: 'put a pair of trained adapters in force, if the gate lets it', load: async () => (await import('./release.ts')).release },
  keys: { summary: 'make, list, revoke and rotate API keys', load: async () => (await import('./keys.ts')).keys },
}

/** `no`: see NotPassed. */
export const EXIT = { ok: 0, failed: 1, usage: 2, no: 3 } as const

/** All was done that was asked, and told; what was looked at did not pass. Nothing is added to what the command said. */
export class NotPassed extends Error {
  override readonly name = 'NotPassed'
}

/** A command called wrongly: its message is followed by where to find help, and the exit code is 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export const wantsHelp = (args: readonly string[]): boolean => args.includes('--help') || args.includes('-h')

export function listing (commands: Readonly<Record<string, { readonly summary: string }>>): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length))
  return Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`).join('\n')
}

const usage = (): string => `Usage: parallax <command> [options]

Commands:
${listing(COMMANDS)}

parallax <command> --help says more. Exit codes: 0 done, 1 failed, 2 called wrongly, 3 done and not passed.
`

/** parseArgs throws TypeErrors whose codes begin so. */
const isWrongArgument = (error: unknown): boolean => String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS')

function explain (error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const cause = error instanceof ParallaxError && error.cause instanceof Error ? `\n  ${error.cause.message}` : ''
  return `parallax: ${message}${cause}\n`
}

/** Runs one command line and returns its exit code. Never throws. */
export async function runCommand (args: readonly string[], context: Context): Promise<number> {
  const [name, ...rest] = args
  try {
    if (name === undefined) throw new UsageError('A command is missing.')
    if (name === 'help' || name.startsWith('-')) {
      if (name !== 'help' && !wantsHelp([name])) throw new UsageError(`Unknown option ${name}.`)
      context.out(usage())
      return EXIT.ok
    }
    const listed = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
    if (listed === undefined) throw new UsageError(`Unknown command ${JSON.stringify(name)}. Wanted one of: ${Object.keys(COMMANDS).join(', ')}.`)
    const command = await listed.load()
    if (wantsHelp(rest) && rest.length === 1) context.out(command.usage)
    else await command.run(rest, context)
    return EXIT.ok
  } catch (error) {
    if (error instanceof NotPassed) return EXIT.no
    const wrong = error instanceof UsageError || isWrongArgument(error)
    const known = name !== undefined && Object.hasOwn(COMMANDS, name) ? `${name} ` : ''
    context.err(explain(error) + (wrong ? `Run "parallax ${known}--help" for help.\n` : ''))
    return wrong ? EXIT.usage : EXIT.failed
  }
}
