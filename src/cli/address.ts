/** Addresses that a command is to ask, with an error that says what was wanted. Asks none. */
import { UsageError } from './commands.ts'

export function addressOf (option: string, text: string): string {
  const protocol = URL.parse(text)?.protocol
  if (protocol !== 'http:' && protocol !== 'https:') throw new UsageError(`Wanted ${option} as an address such as http://127.0.0.1:3000, got ${JSON.stringify(text)}.`)
  return text
}
