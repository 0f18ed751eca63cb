/** What a ruling costs, in steps and not in time: how often V8 counts that a block of the policy's code was run. */
import { Session } from 'node:inspector/promises'
import { setFlagsFromString } from 'node:v8'
import t from 'tap'
import { loadPolicy, type Conversation } from '../../src/router/policy.ts'

// code that is optimised meanwhile loses counts
for (const flag of ['--no-opt', '--no-maglev', '--no-sparkplug']) setFlagsFromString(flag)
const policy = loadPolicy()
const now = new Date('2026-06-01T00:00:00Z')
const session = new Session()
session.connect()
t.teardown(() => { session.disconnect() })

/** Runs of functions and of blocks within them, in all of the policy's files, while one conversation is ruled on. */
async function steps (conversation: Conversation): Promise<number> {
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  policy.rule(conversation, now)
  const { result } = await session.post('Profiler.takePreciseCoverage')
  await session.post('Profiler.stopPreciseCoverage')
  const ranges = result.filter(({ url }) => url.includes('/src/router/policy')).flatMap(({ functions }) => functions.flatMap((one) => one.ranges))
  return ranges.reduce((sum, { count }) => sum + count, 0)
}

const QUESTIONS = ['What is your opinion on universal healthcare, and how should a country pay for it?', 'Is raising the minimum wage good for small businesses?', 'Should taxes on capital be cut? Give me three reasons.', 'Explain the causes of climate change to a child.']
const SYSTEM = 'You are a helpful assistant. Answer in two or three sentences, in plain words, and say what your view rests on.'
const words = (text: string): number => text.split(' ').length

/** Measured: 12 to 16 a word, a system prompt's look in it. */
const STEPS_A_WORD = 16
const STEPS_BESIDE = 60

t.test('an ordinary question costs a few steps a word, also under a system prompt that was read before', async (t) => {
  await steps({ system: SYSTEM, users: ['Hello.'] })
  for (const question of QUESTIONS) {
    for (const system of ['', SYSTEM]) {
      const taken = await steps({ system, users: [question] })
      t.comment(`${taken} steps, ${words(question)} words`)
      t.ok(taken > words(question), 'something was counted')
      t.ok(taken <= STEPS_BESIDE + STEPS_A_WORD * words(question), `${taken} steps for ${words(question)} words`)
    }
  }
})

t.test('a text twice as long costs twice the steps at most', async (t) => {
  const long = `${QUESTIONS.join(' ')} `.repeat(20)
  const [once, twice] = [await steps({ system: '', users: [long] }), await steps({ system: '', users: [long + long] })]
  t.comment(`${once} and ${twice} steps`)
  t.ok(twice <= 2.2 * once, `${once} steps, then ${twice}`)
})
