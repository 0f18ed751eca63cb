/** Writes openapi.json from the routes, or with --check says whether the committed one still tells the truth. Starts no store and no model. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { buildApp } from '../src/app.ts'
import { loadConfig } from '../src/config.ts'
import { registry } from '../src/perspectives/registry.ts'
import { loadPolicy } from '../src/router/policy.ts'
import type { Services } from '../src/services.ts'

const FILE = fileURLToPath(new URL('openapi.json', import.meta.url))

/** The document as text. Routes read their services only when they are asked, so only what is data has to be there. */
export async function openapi (): Promise<string> {
  const none = { config: loadConfig({ PARALLAX_MODEL: 'none' }), perspectives: registry([]), experts: new Map(), unserved: new Map(), policy: loadPolicy(), engine: null, audit: {}, keys: {}, cache: {}, chat: {}, close: async () => {} }
  const app = await buildApp(none as unknown as Services, { logger: false })
  await app.ready()
  const text = `${JSON.stringify(app.swagger(), null, 2)}\n`
  await app.close()
  return text
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = await openapi()
  if (!process.argv.includes('--check')) writeFileSync(FILE, text)
  else if (readFileSync(FILE, 'utf8') !== text) {
    process.stderr.write('openapi/openapi.json is not what the routes promise. Run: npm run openapi\n')
    process.exitCode = 1
  }
}
