/** Query strings, read strictly: a mistyped filter that is ignored would let everything through. */
import { z } from 'zod'

/** Refuses members that nobody reads, naming those that somebody does. */
export const queryOf = <Shape extends z.ZodRawShape>(shape: Shape) => z.strictObject(shape, {
  error: (issue) => issue.code === 'unrecognized_keys' ? `there is no ${issue.keys.slice(0, 5).map((name) => JSON.stringify(name.slice(0, 60))).join(', ')} here; ${wanted(Object.keys(shape))}` : undefined,
})

const wanted = (names: readonly string[]): string => names.length === 0 ? 'nothing can be set' : `what can be set: ${names.join(', ')}`

export const wholeNumber = () => z.coerce.number('wanted a whole number').int('wanted a whole number')
