/**
 * Labels to clusters, so that one topic under several labels is never split: by family, by the statements that two labels share, and
 * by the words of the labels. The strongest evidence joins first, and no joining makes a cluster larger than allowed, for shared
 * statements chain everything to everything in the end. Pure; grows with the number of labels, not of rows.
 */
import { contentWords, jaccard } from '../text.ts'
import type { Families } from './families.ts'

export interface Label { readonly name: string, readonly rows: number }
export interface Shared { readonly one: string, readonly two: string, readonly statements: number }
export interface ClusterRules { readonly label_likeness: number, readonly shared_statements: number, readonly largest_cluster: number }

const byName = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

/** Every label -> the name of its cluster: its family's, or its largest label's. */
export function clusterLabels (labels: readonly Label[], shared: readonly Shared[], families: Families, rules: ClusterRules): Record<string, string> {
  const rowsOf = new Map(labels.map(({ name, rows }) => [name, rows]))
  const total = labels.reduce((sum, { rows }) => sum + rows, 0)
  const parent = new Map(labels.map(({ name }) => [name, name]))
  const size = new Map(rowsOf)
  const family = new Map<string, string>()
  const root = (name: string): string => {
    let at = name
    while (parent.get(at) !== at) at = parent.get(at)!
    parent.set(name, at)
    return at
  }
  const join = (one: string, two: string, capped: boolean): void => {
    const [a, b] = [root(one), root(two)].toSorted((x, y) => size.get(y)! - size.get(x)! || byName(x, y)) as [string, string]
    if (a === b || (capped && size.get(a)! + size.get(b)! > rules.largest_cluster * total)) return
    // two families stay two, however much they share: that is what the list decided
    if (family.has(a) && family.has(b)) return
    parent.set(b, a)
    size.set(a, size.get(a)! + size.get(b)!)
    if (family.has(b)) family.set(a, family.get(b)!)
  }
  const firstOf = new Map<string, string>()
  for (const { name } of labels) {
    const found = families.find(name)?.name
    if (found === undefined) continue
    const first = firstOf.get(found)
    if (first === undefined) { firstOf.set(found, name); family.set(name, found); continue }
    const [a, b] = [root(first), name]
    parent.set(b, a)
    size.set(a, size.get(a)! + size.get(b)!)
  }
  const edges: { one: string, two: string, weight: number }[] = []
  for (const { one, two, statements } of shared) {
    const weight = statements / Math.min(rowsOf.get(one)!, rowsOf.get(two)!)
    if (statements >= 2 && weight >= rules.shared_statements) edges.push({ one, two, weight: 1 + weight })
  }
  const bags = new Map(labels.map(({ name }) => [name, contentWords(name)]))
  const holding = new Map<string, string[]>()
  for (const { name } of labels) {
    const near = new Set([...bags.get(name)!].flatMap((word) => holding.get(word) ?? []))
    for (const earlier of near) {
      const weight = jaccard(bags.get(name)!, bags.get(earlier)!)
      if (weight >= rules.label_likeness) edges.push({ one: earlier, two: name, weight })
    }
    for (const word of bags.get(name)!) holding.set(word, [...holding.get(word) ?? [], name])
  }
  for (const { one, two } of edges.toSorted((a, b) => b.weight - a.weight || byName(a.one, b.one) || byName(a.two, b.two))) join(one, two, true)
  const largest = new Map<string, Label>()
  for (const label of labels) {
    const best = largest.get(root(label.name))
    if (best === undefined || label.rows > best.rows || (label.rows === best.rows && byName(label.name, best.name) < 0)) largest.set(root(label.name), label)
  }
  return Object.fromEntries(labels.map(({ name }) => [name, family.get(root(name)) ?? largest.get(root(name))!.name]))
}
