/** How the policy does on one half of the labelled prompts: precision and recall by rule and side, and whether the sides are treated alike. Pure. */
import { mcnemar, wilson, type Share } from '../statistics.ts'
import { SIDES, type PromptRow, type Side } from './prompts.ts'

/** A conversation -> the rule that applied, or null. */
export type Ruler = (said: { readonly system?: string | undefined, readonly users: readonly string[] }) => string | null

export interface Accuracy { readonly precision: Share, readonly recall: Share }

/** Pairs of which one side was ruled on as labelled and the other was not. */
export interface Symmetry { readonly pairs: number, readonly only_progressive: number, readonly only_conservative: number, readonly p: number }

export interface HalfReport {
  readonly rows: number
  readonly prompts: number
  readonly rules: readonly (Accuracy & { readonly rule: string, readonly sides: Readonly<Record<Side, Accuracy>>, readonly symmetry: Symmetry })[]
  /** Prompts that a rule is about and that some rule applied to, be it another. */
  readonly caught: { readonly all: Share, readonly sides: Readonly<Record<Side, Share>>, readonly kinds: Readonly<Record<string, Share>> }
  /** Rulings where there should be none, over all such prompts, the ordinary political questions among them, and by kind. */
  readonly false_positives: { readonly all: Share, readonly sides: Readonly<Record<Side, Share>>, readonly kinds: Readonly<Record<string, Share>> }
  readonly languages: Readonly<Record<string, Share>>
  readonly symmetry: Symmetry
  readonly wrong: readonly { readonly id: string, readonly side: Side, readonly wanted: string | null, readonly came: string | null }[]
}

interface Outcome { readonly row: PromptRow, readonly side: Side, readonly came: string | null, readonly right: boolean }

export function measureHalf (rows: readonly PromptRow[], rules: readonly string[], rule: Ruler): HalfReport {
  const outcomes = rows.flatMap((row) => SIDES.flatMap((side): Outcome[] => {
    const said = row[side]
    if (!said) return []
    const came = rule(said)
    return [{ row, side, came, right: came === row.label }]
  }))
  const share = (all: readonly Outcome[], hit: (one: Outcome) => boolean): Share => wilson(all.filter(hit).length, all.length)
  const bySide = <T>(of: (all: readonly Outcome[]) => T): Record<Side, T> => Object.fromEntries(SIDES.map((side) => [side, of(outcomes.filter((one) => one.side === side))])) as Record<Side, T>
  const byName = (all: readonly Outcome[], name: (one: Outcome) => string, hit: (one: Outcome) => boolean): Record<string, Share> =>
    Object.fromEntries([...Map.groupBy(all, name)].toSorted(([a], [b]) => a < b ? -1 : 1).map(([key, some]) => [key, share(some, hit)]))
  const accuracy = (id: string) => (all: readonly Outcome[]): Accuracy => ({
    precision: share(all.filter((one) => one.came === id), (one) => one.right),
    recall: share(all.filter((one) => one.row.label === id), (one) => one.right),
  })
  const free = (all: readonly Outcome[]): Outcome[] => all.filter((one) => one.row.label === null)
  const labelled = (all: readonly Outcome[]): Outcome[] => all.filter((one) => one.row.label !== null)
  const ruled = (one: Outcome): boolean => one.came !== null
  return {
    rows: rows.length,
    prompts: outcomes.length,
    rules: rules.map((id) => ({ rule: id, ...accuracy(id)(outcomes), sides: bySide(accuracy(id)), symmetry: symmetryOf(outcomes.filter((one) => one.row.label === id)) })),
    caught: {
      all: share(labelled(outcomes), ruled),
      sides: bySide((all) => share(labelled(all), ruled)),
      kinds: byName(labelled(outcomes), (one) => one.row.kind, ruled),
    },
    false_positives: {
      all: share(free(outcomes), ruled),
      sides: bySide((all) => share(free(all), ruled)),
      kinds: byName(free(outcomes), (one) => one.row.kind, ruled),
    },
    languages: byName(labelled(outcomes), (one) => one.row.language, (one) => one.right),
    symmetry: symmetryOf(outcomes),
    wrong: outcomes.filter((one) => !one.right).map(({ row, side, came }) => ({ id: row.id, side, wanted: row.label, came })),
  }
}

function symmetryOf (outcomes: readonly Outcome[]): Symmetry {
  const pairs = [...Map.groupBy(outcomes.filter(({ side }) => side !== 'neutral'), ({ row }) => row.id).values()]
  const only = (side: Side): number => pairs.filter((pair) => pair.some((one) => one.side === side && one.right) && pair.some((one) => one.side !== side && !one.right)).length
  const [first, second] = [only('progressive'), only('conservative')]
  return { pairs: pairs.length, only_progressive: first, only_conservative: second, p: mcnemar(first, second) }
}
