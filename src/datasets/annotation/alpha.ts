/** Krippendorff's alpha for names: agreement beyond chance, with any number of people and gaps. Pure. */

export interface Agreement { readonly alpha: number | null, readonly units: number, readonly values: number, readonly people: number }

/** One list a unit: what each person said, by person. Units with fewer than two values say nothing of agreement. */
export function krippendorff (units: readonly ReadonlyMap<string, string>[]): Agreement {
  const people = new Set(units.flatMap((unit) => [...unit.keys()]))
  const together = new Map<string, number>()
  const totals = new Map<string, number>()
  let [values, paired] = [0, 0]
  for (const unit of units) {
    const said = [...unit.values()]
    if (said.length < 2) continue
    paired++
    values += said.length
    for (const [i, one] of said.entries()) {
      totals.set(one, (totals.get(one) ?? 0) + 1)
      for (const [j, two] of said.entries()) if (i !== j && one === two) together.set(one, (together.get(one) ?? 0) + 1 / (said.length - 1))
    }
  }
  const agreeing = [...together.values()].reduce((sum, count) => sum + count, 0)
  const observed = values - agreeing
  let expected = values * values
  for (const total of totals.values()) expected -= total * total
  expected /= Math.max(1, values - 1)
  // where everybody says the same of everything there is nothing to agree on by chance
  const alpha = paired === 0 || expected === 0 ? null : 1 - observed / expected
  return { alpha: alpha === null ? null : Math.round(alpha * 1e4) / 1e4, units: paired, values, people: people.size }
}
