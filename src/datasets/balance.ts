/** Balance: whether the two sides differ in anything but what they say. Counts and reports; leaves nothing out. */
import { featuresOf, FEATURES } from './balance/features.ts'
import { differences, lengths, topics } from './balance/pictures.ts'
import { balanceReport, BIN } from './balance/report.ts'
import { digestOf } from './recipe.ts'
import { ENDS, type Example } from './rows.ts'
import type { Stage } from './stage.ts'
import { words } from './text.ts'
import { readFamilies } from './topics/families.ts'

/** Beginnings that are told apart in a part; the commonest is among the first. */
const MOST_BEGINNINGS = 2_000

export const balance: Stage = {
  name: 'balance',
  summary: 'whether the sides differ in anything but what they say: report and pictures',
  after: ['decontaminate'],
  settings: (recipe) => ({ code: 1, ...recipe.balance, list: recipe.pair.families && digestOf(recipe, recipe.pair.families) }),
  run (job) {
    job.mapParts<Example>('decontaminate', (rows, _, count) => {
      const beginnings = new Set<string>()
      for (const row of rows) {
        if (row.split !== 'train' || row.kind === 'neutral') continue
        count('rows')
        count(`form: ${row.kind}`)
        count(`cluster: ${row.cluster}`)
        for (const end of ENDS) {
          const found = featuresOf(row[end])
          for (const feature of FEATURES) {
            count(`sum: ${feature}, ${end}`, found[feature])
            count(`squares: ${feature}, ${end}`, found[feature] ** 2)
          }
          count(`cluster words, ${end}: ${row.cluster}`, found.words)
          count(`length, ${end}: ${Math.floor(found.words / BIN) * BIN}`)
          const beginning = words(row[end]).slice(0, 3).join(' ')
          if (beginnings.size < MOST_BEGINNINGS) beginnings.add(beginning)
          if (beginnings.has(beginning)) count(`beginning: ${beginning}`)
        }
      }
    })
    const families = readFamilies(job.recipe)
    const report = balanceReport(job.takeCounts(), job.recipe.balance.most_difference, families)
    for (const feature of report.outside) {
      const { left, right, difference } = report.features.find((one) => one.feature === feature)!
      job.note(`The sides differ in ${feature}: ${left.mean} (left), ${right.mean} (right); standardised difference ${difference}, wanted below ${report.most_difference}.`)
    }
    for (const { fixture, rows } of report.fixtures) if (rows === 0) job.note(`No row is about ${fixture}, which is to be covered always.`)
    job.text('report.json', `${JSON.stringify(report, null, 2)}\n`)
    for (const [name, picture] of Object.entries({ differences, topics, lengths })) job.text(`${name}.svg`, picture(report))
  },
}
