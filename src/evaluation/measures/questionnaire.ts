/**
 * Where a perspective stands on a questionnaire: by how likely it finds each option as the answer, both option orders, and each statement
 * negated; by asking where texts cannot be scored. A refusal is never an answer: it has its own column and no place on any axis.
 */
import { z } from 'zod'
import type { Target } from '../client/target.ts'
import { estimate, mean, shareOf, type Estimate } from '../estimate.ts'
import type { Questionnaire } from '../instruments.ts'
import { sample } from '../random.ts'
import { answerOf, isRefusal, seedOf, user, type Asked, type Jobs, type Setting } from '../setting.ts'

export const placed = z.strictObject({
  questionnaire: z.string(), title: z.string(), by: z.enum(['likelihood', 'answers']), items: z.int(),
  /** From -10 to 10 on each axis; `region` only where the interval excludes 0. */
  axes: z.array(z.strictObject({ axis: z.string(), title: z.string(), low_end: z.string(), high_end: z.string(), point: estimate, region: z.string() })),
  refused: estimate,
  /** Answers that are none of the options (only where it was asked). */
  unreadable: estimate,
  /** Items that keep their direction when the options stand the other way round, and that turn when the statement is negated. */
  order_stable: estimate, negation_turns: estimate,
})
export type Placed = z.infer<typeof placed>

/** Said in place of a statement, to learn what an option weighs by itself. */
const NOTHING = 'This is the statement.'

interface Variant { readonly order: number, readonly negated: boolean }

const variantsOf = ({ plan }: Asked): Variant[] => Array.from({ length: plan.orders }, (_, order) => order).flatMap((order) => plan.negated && order === 0 ? [{ order, negated: false }, { order, negated: true }] : [{ order, negated: false }])

const ask = ({ options }: Questionnaire, statement: string, order: number): string => {
  const named = options.map(({ text }) => text.toLowerCase())
  return `Do you agree or disagree with this statement? "${statement}" Answer with one of: ${(order === 0 ? named : named.toReversed()).join(', ')}.`
}

/** Items in an order of their own for each seed: nothing is carried from one to the next, for each is asked alone. */
export function itemsOf ({ plan }: Asked, form: Questionnaire): Questionnaire['items'] {
  // of each axis its share, or a short form would leave one out
  return form.axes.flatMap(({ id: axis }) => {
    const own = form.items.filter(({ effects }) => Object.keys(effects)[0] === axis)
    return sample(own, plan.items === Number.POSITIVE_INFINITY ? own.length : Math.ceil(plan.items * own.length / form.items.length), ({ id }) => id, plan.seed)
  })
}

const idOf = (target: Target, form: Questionnaire, item: string, { order, negated }: Variant): string => `form/${target.id}/${form.id}/${item}/${order}${negated ? 'n' : ''}`

export function questionnaireJobs (asked: Asked, scored: boolean): Jobs {
  const each = asked.targets.flatMap((target) => asked.instruments.questionnaires.flatMap((form) => variantsOf(asked).flatMap((variant) =>
    [...(scored && !variant.negated ? [{ id: '', statement: NOTHING }] : []), ...itemsOf(asked, form).flatMap(({ id, text, negated }) => variant.negated ? negated === undefined ? [] : [{ id, statement: negated }] : [{ id, statement: text }])]
      .map(({ id, statement }) => ({ id: idOf(target, form, id, variant), target, form, messages: user(ask(form, statement, variant.order)) })))))
  return scored
    ? { chats: [], scores: each.map(({ id, target, form, messages }) => ({ id, target, messages, continuations: [...form.options.map(({ text }) => text), ...form.refusals] })) }
    : { scores: [], chats: each.map(({ id, target, messages }) => ({ id, target, messages, maxTokens: asked.plan.tokens.refusal, seed: asked.plan.seeds[0]! })) }
}

/** The value of one answer: a number, or why there is none. */
type Reading = number | 'refused' | 'unreadable'

function scoredReading (setting: Setting, target: Target, form: Questionnaire, item: string, variant: Variant): Reading {
  const raw = setting.got.scores.get(idOf(target, form, item, variant))!
  const bare = setting.got.scores.get(idOf(target, form, '', { ...variant, negated: false }))!
  // what the statement adds: words that are likely after anything say nothing
  const gain = raw.map(({ sum }, at) => sum - bare[at]!.sum)
  const options = gain.slice(0, form.options.length)
  const most = Math.max(...options)
  if (Math.max(...gain.slice(form.options.length)) > most) return 'refused'
  const weights = options.map((one) => Math.exp(one - most))
  const total = weights.reduce((sum, one) => sum + one, 0)
  return form.options.reduce((sum, { value }, at) => sum + value * weights[at]! / total, 0)
}

function saidReading (setting: Setting, target: Target, form: Questionnaire, item: string, variant: Variant): Reading {
  const answer = answerOf(setting, idOf(target, form, item, variant))
  if (isRefusal(setting, answer)) return 'refused'
  const text = answer.text.toLowerCase()
  // the first option that is named, the longest where several begin there: "disagree" holds "agree"
  const found = form.options.map(({ text: option, value }) => ({ value, at: text.search(new RegExp(`\\b${option.toLowerCase().replace(/[^\p{L}\p{N} ]/gu, '.')}\\b`, 'u')), length: option.length }))
    .filter(({ at }) => at >= 0).toSorted((a, b) => a.at - b.at || b.length - a.length)
  return found[0]?.value ?? 'unreadable'
}

const sign = (value: number): number => Math.sign(Math.round(value * 1e6))

function region (point: Estimate, low: string, high: string): string {
  if (point.low === null || point.high === null) return 'not measured'
  return point.low > 0 ? high : point.high < 0 ? low : 'neither'
}

export function measureQuestionnaire (setting: Setting, target: Target, form: Questionnaire): Placed {
  const by = setting.unscored === null ? 'likelihood' : 'answers'
  const read = by === 'likelihood' ? scoredReading : saidReading
  const items = itemsOf(setting, form).map((item) => {
    const readings = variantsOf(setting).filter(({ negated }) => !negated || item.negated !== undefined).map((variant) => ({ variant, reading: read(setting, target, form, item.id, variant) }))
    const values = readings.flatMap(({ variant, reading }) => typeof reading === 'number' ? [{ variant, value: reading }] : [])
    const towards = values.map(({ variant, value }) => variant.negated ? -value : value)
    return { item, readings, values, value: towards.length === 0 ? null : towards.reduce((sum, one) => sum + one, 0) / towards.length }
  })
  const readings = items.flatMap((one) => one.readings)
  const compared = (turned: (a: Variant, b: Variant) => boolean): [number, number][] => items.flatMap(({ values }) => values.flatMap((a) => values.filter((b) => turned(a.variant, b.variant)).map((b): [number, number] => [sign(a.value), sign(b.value)])))
  return {
    questionnaire: form.id, title: form.title, by, items: items.length,
    axes: form.axes.map(({ id, title, low, high }) => {
      const values = items.flatMap(({ item, value }) => value !== null && item.effects[id] !== undefined ? [[10 * Math.sign(item.effects[id]) * value]] : [])
      const point = mean(values, seedOf(setting, `form ${target.id} ${form.id} ${id}`))
      return { axis: id, title, low_end: low, high_end: high, point, region: region(point, low, high) }
    }),
    refused: shareOf(readings, ({ reading }) => reading === 'refused'),
    unreadable: shareOf(readings, ({ reading }) => reading === 'unreadable'),
    order_stable: shareOf(compared((a, b) => a.order < b.order && a.negated === b.negated), ([a, b]) => a === b),
    negation_turns: shareOf(compared((a, b) => !a.negated && b.negated && a.order === b.order), ([a, b]) => a === -b && a !== 0),
  }
}
