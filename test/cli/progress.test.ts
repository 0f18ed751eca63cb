import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { progress } from '../../src/cli/progress.ts'

t.test('on a terminal a bar redraws itself in its line, and is gone at the end', async (t) => {
  const written: string[] = []
  const bar = progress('clean (2 of 9)', (text) => { written.push(text) }, true)
  bar.to('rows', 25_000, 100_000)
  bar.to('rows', 26_000, 100_000)
  t.same(written, ['\r\u001b[K[######                  ]  25 % clean (2 of 9): rows, 25,000 of 100,000'], 'not with every row')
  await sleep(110)
  bar.to('rows', 200_000, 100_000)
  t.match(written[1], /\[#{24}\] 100 %/, 'never more than the whole')
  await sleep(110)
  bar.to('rows', 7, 0)
  t.match(written[2], /\] clean \(2 of 9\): rows, 7$/, 'without a percentage where the whole is not known')
  bar.end()
  t.equal(written.at(-1), '\r\u001b[K')
})

t.test('elsewhere there are plain lines, and none for what is done in a moment', async (t) => {
  const written: string[] = []
  const bar = progress('clean', (text) => { written.push(text) }, false)
  bar.to('rows', 1, 2)
  bar.end()
  t.same(written, [])
})
