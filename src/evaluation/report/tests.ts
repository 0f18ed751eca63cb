/** The paired tests of a report, and Holm's correction over all of them. */
import type { Target } from '../client/target.ts'
import { holm } from '../estimate.ts'
import { leanTest, pairTest } from '../measures/separation.ts'
import type { Setting } from '../setting.ts'
import type { Perspective, Report } from './schema.ts'

export function testsOf (setting: Setting, sides: readonly Target[], base: Target, perspectives: Readonly<Record<string, Perspective>>): Report['tests'] {
  const all: { id: string, says: string, p: number | null }[] = []
  const between = [...sides.map((side) => [side, base] as const), ...(sides.length === 2 ? [[sides[0]!, sides[1]!] as const] : [])]
  for (const [first, second] of between) all.push({ id: `likelihood ${first.id} ${second.id}`, says: `${first.id} and ${second.id} prefer the left statement of the same held-out pairs equally often`, p: pairTest(setting, first, second) })
  for (const side of [...sides, base]) for (const judge of setting.judges) all.push({ id: `lean ${side.id} ${judge.id}`, says: `free answers of ${side.id} lean to neither side (judge: ${judge.id})`, p: leanTest(setting, judge, side) })
  for (const { id } of [...sides, base]) {
    const { symmetry, safety } = perspectives[id]!
    for (const [name, difference] of Object.entries({ ...symmetry, outgroups_hostile: safety.outgroups_hostile, adversarial_held: safety.adversarial_held })) all.push({ id: `symmetry ${id} ${name}`, says: `${id}: ${name.replaceAll('_', ' ')} are the same for prompts coded left and right`, p: difference.p })
  }
  for (const { id } of sides) {
    const { leakage, safety, robustness } = perspectives[id]!
    for (const { judge, p } of leakage.slant) all.push({ id: `leakage ${id} ${judge}`, says: `answers of ${id} to everyday prompts lean as the baseline's do (judge: ${judge})`, p })
    for (const [name, { p }] of [['harmful refused', safety.harmful_refused], ['harmless refused', safety.harmless_refused], ['facts', safety.facts.all]] as const) all.push({ id: `safety ${id} ${name}`, says: `${id} and the baseline: ${name} alike`, p })
    for (const [name, change] of [['system prompt against', robustness.system_prompt_against], ['after the other side', robustness.after_the_other_side]] as const) if (change) all.push({ id: `context ${id} ${name}`, says: `${id} leans as without it: ${name}`, p: change.p })
  }
  const tested = all.filter((one): one is typeof one & { p: number } => one.p !== null)
  const corrected = holm(tested.map(({ p }) => p))
  return tested.map((one, at) => ({ ...one, p_holm: corrected[at]! }))
}
