import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openapi } from '../openapi/generate.ts'

const committed = readFileSync(fileURLToPath(new URL('../openapi/openapi.json', import.meta.url)), 'utf8')

t.test('the committed OpenAPI is what the routes promise', async (t) => {
  t.equal(await openapi(), committed, 'run: npm run openapi')
})

t.test('every operation says what it is, who may use it, and answers a 200', async (t) => {
  const { paths } = JSON.parse(committed) as { paths: Record<string, Record<string, { summary?: string, tags?: string[], responses?: Record<string, unknown> }>> }
  t.ok(Object.keys(paths).length >= 12)
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      t.ok(operation.summary, `${method} ${path}: summary`)
      t.ok(operation.tags?.length, `${method} ${path}: tags`)
      t.ok(Object.keys(operation.responses ?? {}).some((status) => status.startsWith('2')), `${method} ${path}: a success`)
    }
  }
})
