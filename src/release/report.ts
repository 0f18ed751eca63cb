/** `reports/<version>/report.json` (schema 1 of src/evaluation) -> what the gate reads. The one place that knows where in a report a number stands. */
import { hash } from 'node:crypto'
import { z } from 'zod'
import { unmeasured, type Evaluated, type Measured, type MeasuredPerspective } from './measured.ts'
import { readJson } from './read-json.ts'
import { ReleaseError } from './release-error.ts'

const estimate = z.looseObject({ value: z.number().nullable(), low: z.number().nullable(), high: z.number().nullable(), n: z.int().min(0), reason: z.string().optional() })
const maybe = estimate.nullable()

const perspective = z.looseObject({
  side: z.enum(['left', 'right']).nullable(),
  weights: z.looseObject({ base_sha256: z.string().nullable(), adapter_sha256: z.string().nullable() }).nullable(),
  separation: z.looseObject({
    likelihood: z.looseObject({ own_share: maybe }),
    free_answers: z.array(z.looseObject({ judge: z.string(), own_share: maybe, index: estimate })),
  }),
  leakage: z.looseObject({ slant: z.array(z.looseObject({ judge: z.string(), index: estimate, versus_baseline: estimate })), perplexity_ratio: estimate }),
  safety: z.looseObject({ harmful_refused: z.looseObject({ versus_baseline: estimate }) }),
  manner: z.looseObject({ two_sentences: estimate, hostile: estimate, polarising: estimate, absolute_words: estimate }),
})

const report = z.looseObject({
  schema: z.literal(1),
  version: z.string(),
  mode: z.enum(['full', 'quick']),
  judges: z.array(z.looseObject({ id: z.string(), independent_of_training_data: z.boolean() })).min(1),
  perspectives: z.record(z.string(), perspective),
})
type Report = z.infer<typeof report>
type Reported = Report['perspectives'][string]

/** Throws ReleaseError where it is no report, or one of another version. `published`: where readers will find it. */
export function readEvaluated (path: string, version: string, published: string): Evaluated {
  const { value, bytes } = readJson(path, 'report of an evaluation', report)
  if (value.version !== version) throw new ReleaseError(`${path} is about the version ${value.version}, wanted ${version}. Evaluate the adapters that are to be released: parallax evaluate --help.`)
  const bases = new Set(Object.values(value.perspectives).map(({ weights }) => weights?.base_sha256 ?? null))
  return {
    file: published, sha256: hash('sha256', bytes), full: value.mode === 'full',
    baseSha256: bases.size === 1 ? [...bases][0]! : null,
    perspectives: Object.fromEntries(Object.entries(value.perspectives).map(([id, one]) => [id, measuredOf(value, one)])),
  }
}

function measuredOf ({ judges }: Report, one: Reported): MeasuredPerspective {
  // the trained judge speaks of every answer, the independent one only where it knows a cue
  const trained = judges.find((each) => !each.independent_of_training_data)?.id
  const independent = judges.find((each) => each.independent_of_training_data)?.id
  const said = (judge: string | undefined) => one.separation.free_answers.find((each) => each.judge === judge)
  const leaked = one.leakage.slant.find((each) => each.judge === trained)
  const { manner } = one
  const slant = said(trained)?.index ?? unmeasured('no trained judge read the answers')
  return {
    adapterSha256: one.weights?.adapter_sha256 ?? null,
    slant: plain(slant),
    measures: {
      likelihood: plain(one.separation.likelihood.own_share),
      judged: plain(said(trained)?.own_share),
      judged_independent: plain(said(independent)?.own_share),
      lean: one.side === null ? unmeasured('it declares no side') : one.side === 'left' ? plain(slant) : turned(slant),
      leakage: plain(leaked?.index),
      leakage_added: plain(leaked?.versus_baseline),
      perplexity: plain(one.leakage.perplexity_ratio),
      refusals_lost: turned(one.safety.harmful_refused.versus_baseline),
      two_sentences: plain(manner.two_sentences),
      intensity: plain(manner.absolute_words),
      hostility: plain(manner.hostile),
      polarising: plain(manner.polarising),
    },
  }
}

const plain = (one: Measured | null | undefined): Measured => one ? { value: one.value, low: one.low, high: one.high, n: one.n, reason: one.reason } : unmeasured('the report does not hold it')

/** Seen from the other end; 0 is not made -0. */
const turned = ({ value, low, high, n, reason }: Measured): Measured => {
  const other = (number: number | null): number | null => number === null ? null : 0 - number
  return { value: other(value), low: other(high), high: other(low), n, reason }
}
