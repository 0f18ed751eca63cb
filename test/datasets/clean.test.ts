import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { likeness, nearDuplicates, shingles } from '../../src/datasets/clean/near-duplicates.ts'
import { NumberSort } from '../../src/datasets/clean/number-sort.ts'
import { personalData } from '../../src/datasets/clean/personal.ts'
import { readLists } from '../../src/datasets/clean/lists.ts'
import { temporary } from '../helper.ts'
import { build, csv, pairs, rowsOf, small } from './small.ts'

t.test('a sort on disk gives what a sort in memory gives', async (t) => {
  const chance = (() => { let state = 12345; return () => { state = Math.imul(state, 1664525) + 1013904223 >>> 0; return state } })()
  const given = Array.from({ length: 600_000 }, () => [chance(), chance() % 1000] as const)
  const sort = new NumberSort(join(temporary(t), 'numbers'))
  for (const [hi, lo] of given) sort.add(hi, lo)
  const wanted = given.toSorted(([a, b], [c, d]) => a - c || b - d)
  let at = 0
  let wrong = 0
  for (const { hi, lo } of sort.sorted()) { if (hi !== wanted[at]![0] || lo !== wanted[at]![1]) wrong++; at++ }
  t.equal(at, given.length)
  t.equal(wrong, 0)
})

t.test('near-duplicates: as many as a comparison of all with all finds', async (t) => {
  const words = ['tax', 'law', 'home', 'work', 'school', 'health', 'river', 'market', 'vote', 'peace', 'road', 'farm', 'bank', 'city', 'care']
  let missed = 0
  let all = 0
  await fc.assert(fc.asyncProperty(fc.array(fc.array(fc.constantFrom(...words), { minLength: 8, maxLength: 14 }), { minLength: 10, maxLength: 40 }), async (texts) => {
    // some rows again with one word changed
    const rows = texts.flatMap((text, i) => i % 3 === 0 ? [[text.join(' '), ''], [[...text.slice(0, -1), 'changed'].join(' '), '']] : [[text.join(' '), '']])
    const found = new Set([...nearDuplicates(rows, 0.7, join(temporary(t), 'near'))].map(({ row }) => row))
    const sets = rows.map(shingles)
    for (const [i, set] of sets.entries()) {
      const wanted = sets.slice(0, i).some((before) => likeness(before, set) >= 0.7)
      if (wanted) all++
      if (wanted && !found.has(i)) missed++
      if (!wanted) t.notOk(found.has(i), 'nothing that is unlike')
    }
  }), { numRuns: 20 })
  t.ok(all > 50)
  t.ok(missed <= all * 0.02, `${missed} of ${all} missed`)
})

t.test('personal data is found, and politics is not taken for it', async (t) => {
  for (const [text, kind] of [['Write to jane.doe@example.org today', 'email'], ['jane (at) example.org', 'email'], ['Call 555-123-4567 now', 'telephone'], ['call +44 20 7946 0958', 'telephone'], ['says @somebody', 'handle'], ['by u/some_body there', 'handle'], ['He lives at 12 Old Mill Road', 'street address'], ['SSN 123-45-6789', 'identity number'], ['4111 1111 1111 1111', 'card number'], ['from 192.168.12.7', 'network address']] as const) t.equal(personalData(text), kind, text)
  for (const text of ['Section 230 and the 2020 election', 'a tax of 1,000,000 dollars', 'The 14th Amendment of 1868', 'from 1990-2020 it rose 3.5 percent', '401k plans', 'and/or universities']) t.equal(personalData(text), undefined, text)
})

t.test('false claims are found on both sides; values and policy positions are left alone', async (t) => {
  const set = small(t, csv(pairs()))
  const lists = readLists(set.recipe())
  const found = (text: string): boolean => lists.findings(text).some((one) => one.startsWith('false claim'))
  for (const text of ['Climate change is a hoax.', 'The 2020 election was stolen.', 'Vaccines cause autism in children.', 'Immigrants are criminals.', 'Millions of illegal immigrants voted.', 'Death panels decide who lives.',
    'Russia changed vote totals in 2016.', 'The 2016 election was rigged.', 'Genetically modified food is toxic.', 'Nuclear plants can explode like an atomic bomb.', 'Climate change means human extinction is certain.', 'The rich pay no taxes.', 'Women earn 77 cents for the same work.', 'Police kill thousands of unarmed people.']) t.ok(found(text), text)
  for (const text of ['Voter identification should be required.', 'Voter identification should not be required.', 'Vaccines should be a choice.', 'Vaccines should be mandatory.', 'Nuclear power should be phased out.', 'The wealthy should pay more taxes.', 'Climate policy should not hurt jobs.', 'Borders should be secure.', 'Genetically modified food should be labeled.', 'Abortion should be illegal.', 'Abortion should be legal.']) t.notOk(found(text), text)
})

t.test('toxic and extreme words: the same ones on either side; sober words are exempt', async (t) => {
  const lists = readLists(small(t, csv(pairs())).recipe())
  for (const text of ['You are a piece of shit.', 'Those libtards again.', 'Those rethuglicans again.', 'They should be shot.', 'Death to the traitors.', 'Send them all back.', 'Immigrants are vermin.', 'The rich are parasites.']) t.ok(lists.findings(text).length > 0, text)
  for (const text of ['Sex education belongs into schools.', 'Same-sex marriage should be legal.', 'No exception for rape or incest.', 'Parasites threaten farms.', 'Shooting sports are a tradition.']) t.same(lists.findings(text), [], text)
})

t.test('language: English stays, others go, and a few words pass', async (t) => {
  const lists = readLists(small(t, csv(pairs())).recipe())
  for (const text of ['Taxes should be lower for families and firms.', 'Cut taxes now.', 'Increase regulations on businesses to protect consumers and the environment.']) t.equal(lists.language(text), 'en', text)
  t.equal(lists.language('Los impuestos deben ser más bajos para las familias y las empresas.'), 'es')
  t.equal(lists.language('Die Steuern sollten für Familien und Firmen nicht so hoch sein.'), 'de')
  t.equal(lists.language('Les impôts doivent être plus bas pour les familles et les entreprises.'), 'fr')
  t.equal(lists.language('Налоги должны быть ниже для всех семей.'), 'not Latin')
})

t.test('what is dropped goes from both sides, and is counted by the side it was found on', async (t) => {
  const given = pairs()
  const set = small(t, csv([...given, { topic: 'housing', left: 'Those libtards want to build nothing here.', right: 'Homes should be built by whoever wants to build.' }, { topic: 'housing', left: 'Rents should be fair for everybody in town.', right: 'The rethuglicans want rents to be as high as can be.' }, given[0]!, { ...given[1]!, left: given[1]!.left.replace('.', '!') }]))
  await build(set, 'clean')
  const { counts } = JSON.parse(readFileSync(join(set.work, 'clean/manifest.json'), 'utf8'))
  t.match(counts, { 'left: extreme: dehumanising': 1, 'right: extreme: dehumanising': 1, 'left: flagged': 1, 'right: flagged': 1, 'dropped rows: extreme': 2, 'dropped rows: exact repetition': 2, kept: given.length })
  t.notMatch(rowsOf(join(set.work, 'clean/part-00004.jsonl')).map((row) => row.left), [/libtards/])
})
