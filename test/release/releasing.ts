/** A folder of perspectives, a training and a report to release from, and the command itself, run in this process. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { runCommand } from '../../src/cli/commands.ts'
import { loadConfig } from '../../src/config.ts'
import { tinyModel } from '../fixtures/tiny-model.ts'
import { tinyPerspectives } from '../fixtures/tiny-perspectives.ts'
import { reportOf, sha256, writeTrained, type Numbers } from '../fixtures/trained.ts'
import { temporary } from '../helper.ts'

const GATE = fileURLToPath(new URL('../../release/gate.json', import.meta.url))

export interface Desk {
  readonly root: string
  readonly base: string
  readonly gate: string
  readonly refused: string
  readonly env: Record<string, string>
  /** New adapters and their report; returns the options that name them. */
  readonly train: (version: string, seeds: { progressive: number, conservative: number }, numbers?: { progressive?: Partial<Numbers>, conservative?: Partial<Numbers> }, change?: object) => string[]
  readonly release: (...args: string[]) => Promise<{ readonly code: number, readonly out: string, readonly err: string }>
  readonly declared: (id: string) => any // eslint-disable-line typescript/no-explicit-any -- read member by member
  readonly card: (id: string) => string
}

export function desk (t: Test, { root = tinyPerspectives(t), dataDir = join(temporary(t), 'none') }: { root?: string, dataDir?: string } = {}): Desk {
  const home = temporary(t)
  const [gate, refused] = [join(home, 'gate.json'), join(home, 'refused.json')]
  copyFileSync(GATE, gate)
  const base = sha256(readFileSync(tinyModel().modelPath))
  const env = { PARALLAX_PERSPECTIVES: root, PARALLAX_MODEL: tinyModel().modelPath, DATA_DIR: dataDir, PARALLAX_ENGINE_THREADS: '1' }
  return {
    root, base, gate, refused, env,
    train (version, seeds, numbers = {}, change = {}) {
      const folder = join(home, `trained-${version}-${seeds.progressive}-${seeds.conservative}`)
      mkdirSync(folder, { recursive: true })
      const digests = writeTrained(folder, base, seeds)
      const report = join(home, `report-${version}.json`)
      writeFileSync(report, JSON.stringify(reportOf(version, base, { progressive: { sha256: digests.progressive, numbers: numbers.progressive ?? {} }, conservative: { sha256: digests.conservative, numbers: numbers.conservative ?? {} } }, change)))
      return ['--adapters', folder, '--report', report]
    },
    async release (...args) {
      let [out, err] = ['', '']
      const code = await runCommand(['release', ...args, '--gate', gate, '--refused', refused], {
        out: (text) => { out += text }, err: (text) => { err += text },
        dataDir: () => dataDir, openLog: () => { throw new Error('a release opens no log') },
        settings: async (directory) => ({ ...loadConfig(env), ...(directory !== undefined && { dataDir: directory }) }),
      })
      return { code, out, err }
    },
    declared: (id) => JSON.parse(readFileSync(join(root, id, 'perspective.json'), 'utf8')),
    card: (id) => existsSync(join(root, id, 'card.md')) ? readFileSync(join(root, id, 'card.md'), 'utf8') : '',
  }
}
