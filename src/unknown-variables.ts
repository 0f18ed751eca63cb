/** Variables that bear our prefix and that nothing reads: a limit with a letter missing would be no limit. Pure; what config.ts reads it is told. */

/** Read by others than config.ts: setup, the commands, the tests. */
const ELSEWHERE = ['PARALLAX_CACHE', 'PARALLAX_FETCH_MODEL', 'PARALLAX_MODEL', 'PARALLAX_KEY', 'PARALLAX_ADMIN_KEY', 'PARALLAX_AUDITOR_KEY', 'PARALLAX_JUDGE_KEY', 'PARALLAX_TEST_PYTHON']

/** Kubernetes sets these in every pod beside a service whose name begins with "parallax". */
const isServiceLink = (name: string, value: string): boolean => /_SERVICE_(?:HOST|PORT)(?:_|$)|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_|$)/.test(name) || (name.endsWith('_PORT') && /^(?:tcp|udp|sctp):\/\//.test(value))

/** Where `apiKeyEnv` stands in a configuration whose shape is not known to be right. */
function namedIn (value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([member, one]: [string, unknown]) => member === 'apiKeyEnv' && typeof one === 'string' ? [one] : namedIn(one))
}

/** A sentence for each. `read`: names that config.ts reads; `input`: the configuration, which may name variables of its own. */
export function unknownVariables (env: Readonly<Record<string, string | undefined>>, read: readonly string[], input: unknown): string[] {
  const known = new Set([...read, ...ELSEWHERE, ...namedIn(input)])
  return Object.entries(env).flatMap(([name, value]) => {
    if (!name.startsWith('PARALLAX_') || known.has(name) || value === undefined || value === '' || isServiceLink(name, value)) return []
    return [`${name}: nothing reads a variable of this name, so it would change nothing. Correct the name, or unset it; docs/operations.md lists them`]
  })
}
