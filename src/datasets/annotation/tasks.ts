/** Pairs out to people and back, as Label Studio's JSON. Which text is which is hidden from them, and which is shown first is chance. */
import { z } from 'zod'
import { DatasetError, at } from '../dataset-error.ts'
import { number32 } from '../dice.ts'
import type { AnnotatedPair } from '../rows.ts'
import { krippendorff, type Agreement } from './alpha.ts'

/** For Label Studio's "Labeling Interface". */
export const INTERFACE = `<View>
  <Header value="Topic: $topic"/>
  <Text name="a" value="$text_a"/>
  <Text name="b" value="$text_b"/>
  <Choices name="stance" toName="a" choice="single" required="true">
    <Choice value="A is left of B"/><Choice value="B is left of A"/><Choice value="neither"/>
  </Choices>
  <Choices name="topic" toName="a" choice="single"><Choice value="both on topic"/><Choice value="not both on topic"/></Choices>
</View>
`

export interface Task { readonly id: number, readonly data: { readonly pair: string, readonly topic: string, readonly text_a: string, readonly text_b: string }, readonly meta: { readonly a: 'left' | 'right' } }

/** Half of them those that the models are least sure of, half by chance; all in an order that tells nothing. */
export function tasks (pairs: Iterable<AnnotatedPair>, count: number, seed: number): Task[] {
  const unsure: AnnotatedPair[] = []
  const drawn: { readonly place: number, readonly pair: AnnotatedPair }[] = []
  const half = Math.ceil(count / 2)
  for (const pair of pairs) {
    unsure.push(pair)
    drawn.push({ place: number32(seed, 'task', pair.id), pair })
    if (unsure.length >= 4 * half) { unsure.sort((a, b) => a.confidence - b.confidence); unsure.length = half }
    if (drawn.length >= 4 * count) { drawn.sort((a, b) => a.place - b.place); drawn.length = count }
  }
  const chosen = new Map(unsure.toSorted((a, b) => a.confidence - b.confidence).slice(0, half).map((pair) => [pair.id, pair]))
  for (const { pair } of drawn.toSorted((a, b) => a.place - b.place)) if (chosen.size < count) chosen.set(pair.id, pair)
  return [...chosen.values()].toSorted((a, b) => number32(seed, 'shown', a.id) - number32(seed, 'shown', b.id)).map((pair, i) => {
    const a = number32(seed, 'first', pair.id) % 2 === 0 ? 'left' as const : 'right' as const
    return { id: i + 1, data: { pair: pair.id, topic: pair.topic, text_a: pair[a], text_b: pair[a === 'left' ? 'right' : 'left'] }, meta: { a } }
  })
}

const result = z.object({ from_name: z.string(), type: z.string(), value: z.object({ choices: z.array(z.string()).min(1) }).loose() }).loose()
const annotation = z.object({ completed_by: z.union([z.int(), z.string(), z.object({ id: z.union([z.int(), z.string()]) }).loose()]), was_cancelled: z.boolean().optional(), result: z.array(z.unknown()) }).loose()
const done = z.object({ data: z.object({ pair: z.string(), topic: z.string(), text_a: z.string(), text_b: z.string() }).loose(), meta: z.object({ a: z.enum(['left', 'right']) }).loose(), annotations: z.array(annotation) }).loose()

export type Verdict = 'as labelled' | 'exchanged' | 'neither'
export interface Back {
  readonly tasks: number
  readonly stance: Agreement
  readonly topic: Agreement
  /** Share of the tasks with a majority of which the majority says what the label says. */
  readonly as_labelled: number | null
  readonly verdicts: readonly { readonly id: string, readonly verdict: Verdict, readonly for: number, readonly of: number }[]
}

const VERDICTS: Readonly<Record<string, Readonly<Record<'left' | 'right', Verdict>>>> = {
  'A is left of B': { left: 'as labelled', right: 'exchanged' }, 'B is left of A': { left: 'exchanged', right: 'as labelled' }, neither: { left: 'neither', right: 'neither' },
}

/** Label Studio's export, read back. Throws where a task is not one of ours or a choice is unknown, with its place. */
export function readBack (json: unknown, file: string): Back {
  if (!Array.isArray(json)) throw new DatasetError(`${file}: wanted the JSON export of Label Studio, a list of tasks, came ${typeof json}. Choose "JSON" under Export, not "JSON-MIN".`)
  const stance: Map<string, string>[] = []
  const topic: Map<string, string>[] = []
  const verdicts: { id: string, verdict: Verdict, for: number, of: number }[] = []
  for (const [i, raw] of json.entries()) {
    const task = done.safeParse(raw)
    if (!task.success) throw new DatasetError(`${at(file, i + 1)}: not a task of ours: ${task.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')}.`)
    const { data, meta, annotations } = task.data
    const said = { stance: new Map<string, string>(), topic: new Map<string, string>() }
    for (const { completed_by: by, was_cancelled: cancelled, result: results } of annotations) {
      if (cancelled) continue
      const who = String(typeof by === 'object' ? by.id : by)
      for (const one of results) {
        const parsed = result.safeParse(one)
        if (!parsed.success || parsed.data.type !== 'choices') continue
        const choice = parsed.data.value.choices[0]!
        if (parsed.data.from_name === 'topic') said.topic.set(who, choice)
        if (parsed.data.from_name !== 'stance') continue
        const verdict = Object.hasOwn(VERDICTS, choice) ? VERDICTS[choice]![meta.a] : undefined
        if (verdict === undefined) throw new DatasetError(`${at(file, i + 1)}: the choice ${JSON.stringify(choice)} is none of ${Object.keys(VERDICTS).join(', ')}.`)
        said.stance.set(who, verdict)
      }
    }
    stance.push(said.stance)
    topic.push(said.topic)
    const votes = [...Map.groupBy(said.stance.values(), (verdict) => verdict)].map(([verdict, all]) => ({ verdict: verdict as Verdict, count: all.length })).toSorted((a, b) => b.count - a.count)
    const [first, second] = votes
    if (first !== undefined && first.count > (second?.count ?? 0)) verdicts.push({ id: data.pair, verdict: first.verdict, for: first.count, of: said.stance.size })
  }
  return {
    tasks: json.length, stance: krippendorff(stance), topic: krippendorff(topic), verdicts,
    as_labelled: verdicts.length === 0 ? null : Math.round(1e4 * verdicts.filter(({ verdict }) => verdict === 'as labelled').length / verdicts.length) / 1e4,
  }
}
