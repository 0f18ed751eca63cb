/** Legal holds as a store keeps them, a row for each thing that is held, and as they are told. Pure. */
import type { HoldRow } from './entry.ts'
import type { Hold } from './log.ts'

export type NamedRow = HoldRow & { readonly name: string }

/** Rows of one name make one hold. */
export function holdsOf (rows: readonly NamedRow[]): Hold[] {
  const byName = Map.groupBy(rows, (row) => row.name)
  return [...byName].map(([name, of]) => {
    const first = of[0]!
    if (first.kind === 'all') return { name, scope: { all: true } }
    if (first.kind === 'tenant') return { name, scope: { tenant: first.value } }
    // the store knows only a hash of who it is
    if (first.kind === 'user') return { name, scope: { user: true } }
    return { name, scope: { records: of.map((row) => row.value) } }
  })
}
