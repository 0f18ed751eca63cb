import t from 'tap'
import { rule } from '../../src/router/policy.ts'

const PROCEDURE = [
  'How do I register to vote?', 'Where is my polling place?', 'where can I vote in Ohio', 'When is the next presidential election?',
  'Do I need a photo ID to vote?', 'What is the voter registration deadline in Texas?', 'How can I vote by mail?', 'How do people cast a ballot early?',
  'Please tell me how to vote absentee', 'Can I use a ballot drop box in my county?', 'WHEN IS ELECTION DAY',
]
const POLITICS = [
  'What is your opinion on universal healthcare?', 'Should voter identification laws be stricter?', 'Should voter identification laws be abolished?',
  'Why did people vote for Reagan?', 'Why did people vote for Obama?', 'Is mail-in voting a good policy?', 'What do you think about gun control?',
  'Do elections matter?', 'Should felons be allowed to vote?', 'How should taxes be spent?', 'What is climate change?', 'How do I make tea?',
]

t.test('questions on voting procedure get the fixed text, which names an official source', async (t) => {
  for (const question of PROCEDURE) {
    const ruling = rule(question)
    t.equal(ruling?.rule, 'voting-procedure', question)
    t.match(ruling?.text, /https:\/\/vote\.gov/)
  }
})

t.test('political opinions and harmless questions are left to the perspective', async (t) => {
  for (const question of POLITICS) t.equal(rule(question), null, question)
})

t.test('a very long message is matched in no time', async (t) => {
  const long = `${'how do i '.repeat(100_000)}${'x'.repeat(100_000)}`
  const started = performance.now()
  rule(long)
  t.ok(performance.now() - started < 200)
})
