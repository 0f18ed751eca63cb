/**
 * Composes the rows of one window of pairs, all of one cluster: for every topic every form of question, with answers put together from
 * that cluster's statements. Nothing here prefers an end: whatever is chosen is chosen by seed, by length or by a text's digest,
 * so exchanged ends give exchanged answers. Pure.
 */
import { featuresOf } from '../balance/features.ts'
import { dice, number32, type Dice } from '../dice.ts'
import type { Recipe } from '../recipe.ts'
import { ENDS, type End, type Example, type SplitPair, type Turn } from '../rows.ts'
import { contentWords, jaccard, wordCount } from '../text.ts'
import { contradicts, weigh, type Weighed } from './contradiction.ts'
import { fill, topicPhrase, type FormName, type Forms } from './forms.ts'
import { isSentence, joined, shouldQuestion, type Asked, type Lower } from './sentence.ts'

const MANNERS = ['obligation', 'hedges', 'named entities', 'imperatives', 'negations'] as const
type Manner = typeof MANNERS[number]
/** What one "must" more on one side costs, in words. */
const MANNER_COST = 2

/** A pair with what composing asks of it again and again. */
interface Piece extends SplitPair {
  readonly bags: Readonly<Record<End, ReadonlySet<string>>>
  readonly weighed: Readonly<Record<End, Weighed>>
  readonly length: Readonly<Record<End, number>>
  /** Left minus right, of what a model could learn in the place of a stance. */
  readonly manner: Readonly<Record<Manner, number>>
  used: number
}

/** Statements of one answer share at most this much of their words: more is saying it twice. */
const TOO_ALIKE = 0.45
/** Of a companion that has another label it is asked to speak of the same things. */
const SHARED_WORDS = 2
/** How many sentences, and how often. */
const SENTENCES: readonly (readonly [number, number])[] = [[2, 0.22], [3, 0.36], [4, 0.24], [5, 0.12], [6, 0.06]]
/** Companions that are looked at, and of those that fit the ones among which the better length decides. */
const LOOKED_AT = 40
const FITTING = 10
const TRIES = 3

export interface Derived { readonly kind: string, readonly prompt: readonly Turn[], readonly order?: readonly number[] }

export interface Composer { readonly recipe: Recipe, readonly forms: Forms, readonly lower: Lower }

function mannerOf (pair: SplitPair): Record<Manner, number> {
  const [left, right] = [featuresOf(pair.left), featuresOf(pair.right)]
  return Object.fromEntries(MANNERS.map((manner) => [manner, left[manner] - right[manner]])) as Record<Manner, number>
}

const piece = (pair: SplitPair): Piece => ({
  ...pair, used: 0, manner: mannerOf(pair),
  bags: { left: contentWords(pair.left), right: contentWords(pair.right) },
  weighed: { left: weigh(pair.left), right: weigh(pair.right) },
  length: { left: wordCount(pair.left), right: wordCount(pair.right) },
})

const fits = (one: Piece, chosen: readonly Piece[]): boolean => chosen.every((two) => ENDS.every((end) =>
  jaccard(one.bags[end], two.bags[end]) < TOO_ALIKE && !contradicts(one.weighed[end], two.weighed[end]) &&
  // one that speaks as the other end does is a wrong label, or a topic on which the ends do not part
  !contradicts(two.weighed[end], one.weighed[end]) && jaccard(one.bags[end], two.bags[end === 'left' ? 'right' : 'left']) < 0.6))

const total = (pieces: readonly Piece[], end: End): number => pieces.reduce((sum, one) => sum + one.length[end], 0)
const gap = (pieces: readonly Piece[]): number => Math.abs(total(pieces, 'left') - total(pieces, 'right'))
/** How unlike the two answers would be in length and manner. */
const unlike = (pieces: readonly Piece[]): number => gap(pieces) + MANNERS.reduce((sum, manner) => sum + MANNER_COST * Math.abs(pieces.reduce((all, one) => all + one.manner[manner], 0)), 0)
const matched = (pieces: readonly Piece[], by: number): boolean => gap(pieces) <= Math.max(3, by * Math.max(total(pieces, 'left'), total(pieces, 'right')))

/** The lead and companions up to `count`, about as long on both ends; undefined where fewer than two fit. */
function gather (lead: Piece, window: readonly Piece[], count: number, mostWords: number, chance: Dice, without?: Piece): readonly Piece[] | undefined {
  const about = new Set([...contentWords(lead.topic), ...lead.bags.left, ...lead.bags.right])
  const related = (one: Piece): boolean => one.topic === lead.topic || [...one.bags.left, ...one.bags.right].filter((word) => about.has(word)).length >= SHARED_WORDS
  for (let again = 0; again < TRIES; again++) {
    const others = chance.shuffled(window.filter((one) => one !== lead && one !== without && related(one)))
    const ranked = [...others.filter((one) => one.topic === lead.topic), ...others.filter((one) => one.topic !== lead.topic)].slice(0, LOOKED_AT)
    const chosen = [lead]
    while (chosen.length < count) {
      const fitting = ranked.filter((one) => !chosen.includes(one) && ENDS.every((end) => total(chosen, end) + one.length[end] <= mostWords) && fits(one, chosen)).slice(0, FITTING)
      const best = fitting.toSorted((a, b) => unlike([...chosen, a]) - unlike([...chosen, b]) || a.used - b.used)[0]
      if (best === undefined) break
      chosen.push(best)
    }
    // where there is little to choose from, the last try is less strict: a topic left out is worse than two words more
    if (chosen.length >= 2 && matched(chosen, again === TRIES - 1 ? 0.25 : 0.12)) return chosen
  }
  return undefined
}

function sentencesWanted (recipe: Recipe, chance: Dice): number {
  const [least, most] = recipe.compose.sentences
  let rest = chance.next()
  for (const [count, share] of SENTENCES) { rest -= share; if (rest < 0) return Math.min(most, Math.max(least, count)) }
  return most
}

const user = (content: string): Turn => ({ role: 'user', content })

interface Prompted { readonly prompt: readonly Turn[], readonly derived: readonly Derived[], readonly openings: readonly string[] }

export class WindowComposer {
  readonly #with: Composer
  readonly #chance: Dice
  readonly #pieces: readonly Piece[]

  constructor (given: Composer, pairs: readonly SplitPair[], name: string) {
    this.#with = given
    this.#chance = dice(given.recipe.seed, 'compose', name)
    const { least_confidence: least } = given.recipe.compose
    const all = pairs.filter((pair) => (pair.split !== 'train' || pair.confidence > least) && isSentence(pair.left) && isSentence(pair.right))
    // by digest and not by order, so that what comes first in a source is not what is said first
    const placed = all.map((pair) => ({ place: number32(given.recipe.seed, pair.id), one: piece(pair) }))
    this.#pieces = placed.toSorted((a, b) => a.place - b.place).map(({ one }) => one)
  }

  /** A statement of the pair, of whichever end its digest says. */
  #eitherStatement (one: Piece): string {
    return number32(this.#with.recipe.seed, 'either', one.left) < number32(this.#with.recipe.seed, 'either', one.right) ? one.left : one.right
  }

  #asked (one: Piece): Asked | undefined {
    const first = this.#eitherStatement(one)
    return shouldQuestion(first, this.#with.lower) ?? shouldQuestion(first === one.left ? one.right : one.left, this.#with.lower)
  }

  #prompt (form: FormName, topic: string, asked: Asked | undefined, quoted: Piece | undefined): Prompted {
    const { forms } = this.#with
    const { templates } = forms.forms[form]
    const chance = this.#chance
    const [template, paraphrase] = chance.shuffled([...new Set(templates)]) as [string, string]
    const openings = [...forms[forms.forms[form].openings], ...form === 'news' ? [] : forms.topic_openings]
    const values = { topic: topicPhrase(topic, forms), ...asked && { question: asked.question, clause: asked.clause } }
    if (quoted !== undefined) {
      const [actor, exchanged] = chance.shuffled(chance.pick(forms.actors)) as [string, string]
      const statement = joined('', this.#eitherStatement(quoted), this.#with.lower)
      const said = (which: string, who: string): Turn[] => [user(fill(which, { statement, actor: who }))]
      return { prompt: said(template, actor), openings, derived: [{ kind: 'paraphrase', prompt: said(paraphrase, actor) }, { kind: 'target', prompt: said(template, exchanged) }] }
    }
    if (form === 'follow-up') {
      const { first, acknowledgement } = forms.forms['follow-up']
      const before: Turn[] = [user(fill(chance.pick(first), values)), { role: 'assistant', content: chance.pick(acknowledgement) }]
      return { prompt: [...before, user(template)], openings, derived: [{ kind: 'paraphrase', prompt: [...before, user(paraphrase)] }] }
    }
    const derived: Derived[] = [{ kind: 'paraphrase', prompt: [user(fill(paraphrase, values))] }]
    if (asked !== undefined) derived.push({ kind: 'negated', prompt: [user(asked.negated)] })
    return { prompt: [user(fill(template, values))], openings, derived }
  }

  /** The statements in this order, held together by the same words on both ends. */
  #answers (chosen: readonly Piece[], opening: string, links: readonly string[]): Record<End, string> {
    const text = (end: End): string => chosen.map((one, i) => joined(i === 0 ? opening : links[i - 1]!, one[end], this.#with.lower)).join(' ')
    return { left: text('left'), right: text('right') }
  }

  /** Links without the same one twice in an answer. */
  #links (count: number): string[] {
    const { links, last_links: last } = this.#with.forms
    const spoken = this.#chance.shuffled(links)
    return spoken.slice(0, count).map((link, i) => i === count - 1 && count > 1 && this.#chance.next() < 0.3 ? this.#chance.pick(last) : link)
  }

  #row (form: FormName, topic: string, chosen: readonly Piece[], prompted: Prompted, id: string): Example[] {
    const { recipe, forms } = this.#with
    const lead = chosen[0]!
    const opening = fill(this.#chance.pick(prompted.openings), { topic: topicPhrase(topic, forms) }).replace(/^./, (first) => first.toUpperCase())
    const links = this.#links(chosen.length - 1)
    const shared = { split: lead.split, cluster: lead.cluster, topic }
    const from = chosen.map((one) => one.id)
    const rows: Example[] = [{ id, kind: form, ...shared, parent: null, from, prompt: prompted.prompt, ...this.#answers(chosen, opening, links) }]
    const derived: Derived[] = [...prompted.derived, { kind: 'order', prompt: prompted.prompt }]
    for (const { kind, prompt } of derived) {
      if (this.#chance.next() >= recipe.compose.counterfactual) continue
      const order = kind === 'order' ? [...chosen.slice(1), lead] : chosen
      rows.push({ id: `${id}.${kind}`, kind, ...shared, parent: id, from: order.map((one) => one.id), prompt, ...this.#answers(order, opening, links) })
    }
    return rows
  }

  /** Every form for one topic, `count` times each. `missed` names a form for which no answer came about. */
  topic (topic: string, pieces: readonly Piece[], count: number, idOf: () => string, missed: (form: FormName) => void): Example[] {
    const { recipe, forms } = this.#with
    const rows: Example[] = []
    const said = new Set<string>()
    for (const form of Object.keys(forms.forms) as FormName[]) {
      let made = 0
      for (let turn = 0; turn < count; turn++) {
        const order = [...pieces].sort((a, b) => a.used - b.used)
        let asked: Asked | undefined
        let quoted: Piece | undefined
        let leads = order
        if (form === 'should') leads = order.filter((one) => this.#asked(one) !== undefined)
        if (form === 'news') quoted = order[0]
        const lead = quoted === undefined ? leads[0] : this.#reply(quoted)
        if (lead === undefined) break
        if (form === 'should') asked = this.#asked(lead)
        const chosen = gather(lead, this.#pieces, sentencesWanted(recipe, this.#chance), recipe.compose.most_words, this.#chance, quoted)
        lead.used++
        if (chosen === undefined) continue
        for (const one of chosen.slice(1)) one.used += 0.5
        for (const row of this.#row(form, topic, chosen, this.#prompt(form, topic, asked, quoted), idOf())) {
          const key = JSON.stringify([row.prompt, row.left, row.right])
          if (said.has(key)) continue
          said.add(key)
          rows.push(row)
        }
        made++
      }
      if (made === 0) missed(form)
    }
    return rows
  }

  /** Whoever is quoted is answered by another pair on the same things: repeating the quotation would be no answer. */
  #reply (quoted: Piece): Piece | undefined {
    const near = (one: Piece): number => jaccard(one.bags.left, quoted.bags.left) + jaccard(one.bags.right, quoted.bags.right)
    return this.#pieces.filter((one) => one !== quoted && ENDS.every((end) => jaccard(one.bags[end], quoted.bags[end]) < 0.7))
      .toSorted((a, b) => near(b) - near(a)).slice(0, 4).toSorted((a, b) => a.used - b.used)[0]
  }

  byTopic (): Map<string, Piece[]> {
    const topics = new Map<string, Piece[]>()
    for (const one of this.#pieces) topics.set(one.topic, [...topics.get(one.topic) ?? [], one])
    return topics
  }
}
