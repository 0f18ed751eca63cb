import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { modelPath, modelUnwanted, whyNoModel } from '../../setup/model-path.js'
import type { Declaration } from '../../src/perspectives/perspective.ts'
import { holds, trio } from './blending.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const path = modelPath(process.env)
t.test('blends on the engine are exact and do not leak (real model, real adapters)', { skip: path === null && (process.env['CI'] !== 'true' || modelUnwanted(process.env)) && whyNoModel(process.env) }, async (t) => {
  if (path === null) throw new Error(whyNoModel(process.env))
  const adapters = ['progressive', 'conservative'].map((id) => {
    const folder = join(ROOT, 'perspectives', id)
    const { adapter } = JSON.parse(readFileSync(join(folder, 'perspective.json'), 'utf8')) as Declaration
    return { id, path: join(folder, adapter!.file), sha256: adapter!.sha256 }
  })
  await holds(t, await trio(t, path, adapters), 2)
})
