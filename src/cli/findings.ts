/** How a stranger's check is told: what was checked, what could not be, what is wrong. Throws where something does not hold. */
import type { Findings } from '../audit/verify.ts'

export function tell ({ checked, notChecked, wrong }: Pick<Findings, 'checked' | 'wrong' | 'notChecked'>, out: (text: string) => void): void {
  for (const one of checked) out(`checked      ${one}\n`)
  for (const one of notChecked) out(`not checked  ${one}\n`)
  for (const one of wrong) out(`WRONG        ${one}\n`)
  if (wrong.length > 0) throw new Error(`${wrong.length} ${wrong.length === 1 ? 'thing does' : 'things do'} not hold.`)
}
