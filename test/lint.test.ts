import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { temporary } from './helper.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** What a file in a folder must not import, and the words that say why. */
const FORBIDDEN: [folder: string, imported: string, words: RegExp][] = [
  ['src/chat', 'fastify', /know Fastify/],
  ['src/audit', '@fastify/cors', /know Fastify/],
  ['src/keys', '../../plugins/auth.ts', /Nothing imports a plugin or a route/],
  ['plugins', '../../routes/health.ts', /Nothing imports a plugin or a route/],
  ['routes', 'node:sqlite', /Only the stores/],
  ['src/chat', 'node:sqlite', /Only the stores/],
  ['src/perspectives', '../../router/route.ts', /perspectives does not know this room/],
  ['src/router', '../../experts/expert.ts', /router does not know this room/],
  ['src/release', '../../audit/log.ts', /release does not know this room/],
  ['src/outputs', '../../audit/log.ts', /outputs does not know this room/],
  ['src/disclosure', '../../audit/log.ts', /disclosure does not know this room/],
  ['src/cache', '../../chat/answer.ts', /cache does not know this room/],
  ['src/completion', '../../cache/cache.ts', /completion does not know this room/],
  ['src/limits', '../../keys/key.ts', /limits does not know this room/],
  ['src/limits', '../../idempotency/key.ts', /limits does not know this room/],
  ['src/idempotency', '../../chat/answer.ts', /idempotency does not know this room/],
  ['src/idempotency', '../../limits/limits.ts', /idempotency does not know this room/],
  ['src/experts', '../../engine/engine.ts', /experts does not know this room/],
  ['src/engine', '../../experts/expert.ts', /engine does not know this room/],
  ['src/audit', '../../chat/answer.ts', /audit does not know this room/],
  ['src/keys', '../../chat/answer.ts', /keys does not know this room/],
  ['src/draws', '../../chat/answer.ts', /draws does not know this room/],
  ['src/chat', '../../engine/engine.ts', /chat does not know this room/],
  ['src/feedback', '../../chat/answer.ts', /feedback does not know this room/],
  ['src/draws', 'pg', /Only src\/database opens PostgreSQL/],
  ['src/chat', '../../database/database.ts', /Only the stores/],
  ['src/database', '../../audit/log.ts', /database does not know this room/],
  ['src/datasets', '../../chat/answer.ts', /datasets does not know this room/],
  ['src/datasets', 'node:sqlite', /Only the stores/],
  ['src/chat', 'undici', /Only experts and engine know a model server/],
  ['src/experts', 'node-llama-cpp', /engine's child process/],
  ['src/engine', 'undici', /it calls nobody/],
  ['src/experts', 'ioredis', /speak to Redis/],
]

const ALLOWED: [folder: string, imported: string][] = [
  ['src/chat', '../../router/route.ts'],
  ['src/audit', 'node:sqlite'],
  ['src/draws', 'node:sqlite'],
  ['src/draws', '../../database/database.ts'],
  ['src/feedback', '../../audit/log.ts'],
  ['src/database', 'pg'],
  ['src/experts', 'undici'],
  ['src/cache', '../../completion/completion.ts'],
  ['src/cache', 'ioredis'],
  ['src/limits', 'ioredis'],
  ['src/idempotency', 'ioredis'],
  ['plugins', 'fastify'],
]

/** tap loads itself into every Node that a test starts, and oxlint's does not bear that. */
const BARE = 'unset NODE_OPTIONS; exec "$@"'

interface Finding { readonly code: string, readonly message: string, readonly help?: string, readonly filename: string }

/**
 * Lints one file for each pair, all in one run, under this project's rules: what oxlint says about each.
 * In a tree of its own, for a file in routes/ or plugins/ would be loaded by every gateway that another test starts meanwhile.
 */
function lint (t: Test, pairs: readonly (readonly [string, string, ...unknown[]])[], text: (imported: string) => string): string[] {
  const tree = temporary(t)
  cpSync(join(ROOT, '.oxlintrc.json'), join(tree, '.oxlintrc.json'))
  const files = pairs.map(([folder, imported], index) => {
    const path = join(folder, `${index}.ts`)
    mkdirSync(join(tree, folder), { recursive: true })
    writeFileSync(join(tree, path), text(imported))
    return path
  })
  const { stdout, stderr } = spawnSync('/bin/sh', ['-c', BARE, 'sh', join(ROOT, 'node_modules', '.bin', 'oxlint'), '--format', 'json', ...files], { cwd: tree, encoding: 'utf8' })
  if (stdout === '') throw new Error(`oxlint said nothing: ${stderr}`)
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: Finding[] }
  return files.map((file) => diagnostics.filter(({ filename }) => filename === file).map(({ code, message, help }) => `${code} ${message} ${help ?? ''}`).join('\n'))
}

t.test('an import against the one way is refused, with the reason', async (t) => {
  const said = lint(t, FORBIDDEN, (imported) => `import * as one from '${imported}'\nexport const two = one\n`)
  for (const [index, [folder, imported, words]] of FORBIDDEN.entries()) t.match(said[index], words, `${folder} does not import ${imported}`)
})

t.test('an import along the one way is not', async (t) => {
  const said = lint(t, ALLOWED, (imported) => `import * as one from '${imported}'\nexport const two = one\n`)
  for (const [index, [folder, imported]] of ALLOWED.entries()) t.notMatch(said[index], /no-restricted-imports/, `${folder} imports ${imported}`)
})

t.test('only the configuration reads the environment, and no file outgrows a screen or two', async (t) => {
  const [read] = lint(t, [['src/chat', '']], () => 'export const home = process.env.HOME\n')
  t.match(read, /no-process-env/)
  const [long] = lint(t, [['src/chat', '']], () => 'export {}\n'.repeat(301))
  t.match(long, /max-lines/)
})

t.test('two files that import each other are refused', async (t) => {
  const [said] = lint(t, [['src/chat', './1.ts'], ['src/chat', './0.ts']], (imported) => `import * as one from '${imported}'\nexport const two = one\n`)
  t.match(said, /no-cycle/)
})
