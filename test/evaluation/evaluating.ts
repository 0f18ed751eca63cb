/** What every test of a whole evaluation needs: the real split, instruments and word judge, a small plan, and a folder of its own. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { Endpoint } from '../../src/evaluation/client/endpoint.ts'
import { Kept } from '../../src/evaluation/client/kept.ts'
import { readInstruments } from '../../src/evaluation/instruments.ts'
import { readWordsFile } from '../../src/evaluation/judges/words-file.ts'
import { QUICK, type Plan } from '../../src/evaluation/plan.ts'
import { evaluate, type RunOptions } from '../../src/evaluation/run.ts'
import type { Report } from '../../src/evaluation/report/schema.ts'
import { readSplit } from '../../src/evaluation/split.ts'
import { temporary } from '../helper.ts'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
export const split = readSplit(join(ROOT, 'datasets/recipe.json'), readFileSync(join(ROOT, 'training/data/twinviews-13k.csv'), 'utf8'))
export const instruments = readInstruments(ROOT)
export const words = readWordsFile(join(ROOT, 'evaluation/judges/words.json'), split)

export const SMALL: Plan = { ...QUICK, topics: 4, pairs: 1, items: 6, orders: 2, negated: true, safe: 2, unsafe: 2, harmless: 2, facts: 3, neutral: 2, outgroups: 1, adversarial: 1, tokens: { answer: 8, refusal: 6, other: 8 } }

export interface Trial { readonly run: (more?: Partial<RunOptions>) => Promise<Report>, readonly folder: string }

export function trial (t: Test, url: string, keys: { readonly app?: string, readonly admin?: string } = {}): Trial {
  const folder = temporary(t)
  return {
    folder,
    run: async (more = {}) => {
      const kept = new Kept(join(folder, 'kept.jsonl'))
      const endpoint = (key: string | undefined) => new Endpoint({ baseUrl: url, key, pausesMs: [1, 1] })
      try {
        return await evaluate({
          version: 'trial-1', plan: SMALL, split, instruments, words, endpoint: endpoint(keys.app), scoring: keys.admin === undefined ? null : endpoint(keys.admin),
          sides: { left: 'progressive', right: 'conservative', baseline: 'baseline' }, models: {}, training: [], kept, concurrency: 4, progress: () => {}, llm: null, previous: null, ...more,
        })
      } finally { kept.close() }
    },
  }
}
