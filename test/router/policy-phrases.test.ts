import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { loadPolicy } from '../../src/router/policy.ts'
import { phraseFinder } from '../../src/router/policy/phrases.ts'
import { wordsOf } from '../../src/router/policy/words.ts'

const finds = (phrase: string, text: string, lists = {}): boolean => {
  const finder = phraseFinder({ one: [phrase], ...lists }, (where, what) => { throw new Error(`${where}: ${what}`) })
  const { words } = wordsOf(text)
  const found = finder.find(words)(0).length > 0
  if (found) t.equal(finder.gate([0])(words), 1, `the gate lets through what is found: ${phrase} in ${text}`)
  return found
}

t.test('the language of phrases means what it says', async (t) => {
  t.ok(finds('how do i vote', 'So: how do I vote?'))
  t.notOk(finds('how do i vote', 'how do I. Vote'), 'no sentence is crossed')
  t.ok(finds('how (do|can) i vote', 'how can I vote'))
  t.ok(finds('how (do i|can) vote', 'how do I vote'))
  t.notOk(finds('how (do|can) i vote', 'how must I vote'))
  t.ok(finds('register ..2 to? vote', 'register me here vote'))
  t.notOk(finds('register ..2 vote', 'register me right here vote'))
  t.notOk(finds('register ..2 vote', 'register. Vote'))
  t.ok(finds('persua* them', 'persuading them'))
  t.notOk(finds('persua* them', 'persist them'))
  t.ok(finds('#10 posts', '12 posts') && finds('(#10|many) posts', 'many posts') && finds('#10 posts', '5,000 posts'))
  t.notOk(finds('#10 posts', '9 posts') || finds('#10 posts', 'x posts'))
  t.ok(finds('my @relative', 'my old uncle my uncle', { relative: ['uncle', 'old aunt'] }))
  t.ok(finds('my @relative @relative?', 'my old aunt uncle', { relative: ['uncle', 'old aunt'] }))
  t.ok(finds('(my|@relative) house', 'uncle house', { relative: ['uncle'] }))
  t.ok(finds('the? end', 'the end') && finds('the? end', 'end'))
  t.ok(finds('^ tweet from', 'Tweet from him') && finds('^ short? tweet from', 'Please. Short tweet from him') && finds('^ tweet from', 'one\ntweet from him'))
  t.notOk(finds('^ tweet from', 'the tweet from him'), 'not where a sentence goes on')
  t.ok(finds('@ask him', 'Now. Tweet from him', { ask: ['^ tweet from'] }))
})

t.test('a phrase that cannot be read is named, each of them', async (t) => {
  const problems: string[] = []
  phraseFinder({ a: ['fine', 'Upper', '..3 x', 'x ..3', 'a ..9 b', 'abc*', 'x?', '@none', '@a', 'a  b', '(a|(b))', 'a ..1 b ..1 c ..1 d', 'a b c d e f g h i j k l m', '^', 'a ^ b', '^ ..2 a'] }, (where, what) => problems.push(`${where}: ${what}`))
  t.equal(problems.length, 15, problems.join('\n'))
  t.match(problems.join('\n'), /a\.1: .*(?=[^]*no list of this name)(?=[^]*contains itself)(?=[^]*at least 4 letters)/)
})

t.test('the gate never keeps out what the search would find', async () => {
  const { document } = loadPolicy()
  const finder = phraseFinder(document.phrases, () => {})
  const vocabulary = Object.values(document.phrases).flat().join(' ').match(/[a-z]+/g)!
  fc.assert(fc.property(fc.array(fc.constantFrom(...vocabulary, '50', '.'), { maxLength: 40 }), (words) => {
    const found = finder.find(words)
    for (let from = 0; from < finder.names.length; from += 31) {
      const lists = finder.names.map((_, at) => at).slice(from, from + 31)
      const bits = finder.gate(lists)(words)
      for (const [bit, list] of lists.entries()) if (found(list).length > 0 && !(bits >> bit & 1)) return false
    }
    return true
  }), { numRuns: 300 })
})

const cpuMs = (work: () => void): number => {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

t.test('no text takes long: hostile ones cost in proportion to their length, and no more than the bound', async (t) => {
  const policy = loadPolicy()
  const hostile = [
    'how do i ', 'write ', 'register ', 'make ', 'a ', 'vote ', 'as the ', 'write a tweet as ', 'get get get vote ', '50 different people comments ', 'persuade the latino voters ', '"', '“', '```', '.', '\u200b', 'é', 'ﷺ', 'v o t e ', '1', 'a1', "x'", '5,', '@', ': ',
    'how how how where when what can could may is it do does am my our the ',
  ]
  // warm
  for (const one of hostile) policy.rule({ system: '', users: [one.repeat(100)] }, new Date())
  for (const one of hostile) {
    const text = one.repeat(Math.ceil(400_000 / one.length))
    const spent = cpuMs(() => policy.rule({ system: text, users: [text, text, `${text} them it`, text] }, new Date()))
    t.ok(spent < 400, `${JSON.stringify(one)}: ${spent} ms`)
    const half = Math.min(...[1, 2, 3].map(() => cpuMs(() => wordsOf(one.repeat(Math.ceil(6000 / one.length))))))
    const whole = Math.min(...[1, 2, 3].map(() => cpuMs(() => wordsOf(one.repeat(Math.ceil(12_000 / one.length))))))
    t.ok(whole < 2 * half * 3 + 2, `${JSON.stringify(one)}: ${half} and ${whole} ms`)
  }
})

t.test('anything at all is read without a fault', async () => {
  const policy = loadPolicy()
  fc.assert(fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 200 }), { maxLength: 5 }), fc.string({ unit: 'grapheme' }), (users, system) => {
    policy.rule({ system, users }, new Date())
    return true
  }), { numRuns: 300 })
})

t.test('a normal prompt costs less than 10 µs', async (t) => {
  const policy = loadPolicy()
  const prompts = ['What is your opinion on universal healthcare, and how should a country pay for it?', 'How can I get better at baking bread?', 'Is raising the minimum wage good for small businesses?', 'Explain the causes of climate change to a child.', 'Should taxes on capital be cut? Give me three reasons.']
  const now = new Date()
  const perPrompt = (): number => cpuMs(() => { for (let i = 0; i < 2000; i++) policy.rule({ system: 'You are a helpful assistant.', users: [prompts[i % prompts.length]!] }, now) }) / 2000 * 1000
  // the least of several: other processes only ever make it slower
  const least = Math.min(...Array.from({ length: 15 }, perPrompt))
  t.comment(`${least.toFixed(1)} µs`)
  t.ok(least < 10, `${least} µs`)
})

t.test('what opens a text is found by looking at its first words alone: the same answer as the whole search gives', async (t) => {
  const { phrases } = loadPolicy().document
  const finder = phraseFinder(phrases, (where, what) => { throw new Error(`${where}: ${what}`) })
  const texts = readFileSync(new URL('../../policy/prompts/development.jsonl', import.meta.url), 'utf8').trim().split('\n').flatMap((line) => [...line.matchAll(/"users": \["([^"]+)"/g)].map((match) => match[1]!))
  t.ok(texts.length > 200)
  let opened = 0
  for (const text of texts) {
    const { words } = wordsOf(text)
    const found = finder.find(words)
    for (const list of finder.names.keys()) {
      const wanted = found(list).some(([at]) => at < 4)
      opened += Number(wanted)
      if (finder.opens(words, list, 4) !== wanted) t.fail(`${finder.names[list]} in ${text}`)
    }
  }
  t.ok(opened > 100, 'there was something to find')
})
