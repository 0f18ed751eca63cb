import { execFile, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { committedBytes } from '../../src/audit/answer-bytes.ts'
import { isReceipt, verifyReceipt } from '../../src/audit/receipt.ts'
import { REAL, run } from '../cli/run.ts'
import * as upstream from '../fixtures/upstream.ts'
import { build, QUESTION, temporary } from '../helper.ts'

type Edit = (receipt: any) => void

t.test('a receipt is checked from files alone, for an answer and for a stream, and each thing that is altered is found', async (t) => {
  const gateway = await build(t)
  const { verifier } = gateway.services.audit.tree
  for (const stream of [false, true]) {
    const body = { model: stream ? 'A' : 'B', stream, messages: QUESTION }
    const reply = await gateway.ask(body)
    const request = Buffer.from(JSON.stringify(body))
    const answer = Buffer.from(await reply.arrayBuffer())
    const text = await (await fetch(`${gateway.url}/audit/v1/receipts/${reply.headers.get('x-audit-record')}`, { headers: { authorization: `Bearer ${gateway.keys.app}` } })).text()
    t.ok(isReceipt(JSON.parse(text)))
    const check = (change: Edit = () => {}, { sent = request, came = answer, verifiers = [verifier] } = {}) => {
      const receipt = JSON.parse(text)
      change(receipt)
      return verifyReceipt(receipt, { verifiers, request: sent, answer: came })
    }
    const found = check()
    t.same([found.wrong, found.notChecked], [[], []])
    t.match(found.checked.join('\n'), /begin: leaf \d+ is in the signed tree of \d+\nend: leaf .*\nthe request is what the leaf commits to\nthe answer is what the leaf commits to/)
    t.same(check(() => {}, { sent: Buffer.concat([request, Buffer.from('\n')]) }).wrong, [], 'a newline that an editor added')
    const other = (bytes: Buffer, from: string, to: string) => Buffer.from(bytes.toString('latin1').replace(from, to), 'latin1')
    t.match(check(() => {}, { sent: other(request, 'healthcare', 'healthcarE') }).wrong, [/^the request is not what the leaf commits to/])
    t.match(check(() => {}, { came: other(answer, '"role":"assistant"', '"role":"assistanT"') }).wrong, [/^the answer is not what the leaf commits to/])
    t.match(check(() => {}, { came: other(answer, '"leaf_hash":"', '"leaf_hash":"x') }).wrong, [/hash of another leaf/])
    const cases: [Edit, RegExp][] = [
      [(one) => { one.ends[0].leaf = one.ends[0].leaf.replace('"complete"', '"completE"') }, /end: its leaf does not have the hash/],
      [(one) => { one.ends[0].index += 1 }, /end: its proof does not lead/],
      [(one) => { one.begin.proof = one.begin.proof.replace(/\n(\d+)\n/, '\n9$1\n') }, /begin: The signature .* does not fit/],
      [(one) => { one.begin.proof = one.ends[0].proof }, /begin: its proof does not lead/],
      [(one) => { one.begin.proof = 'nonsense' }, /begin: this is not a tlog-proof/],
      [(one) => { one.ends[0] = one.begin }, /end: its leaf is a "completion.begin"/],
      [(one) => { one.begin = one.ends[0] }, /begin: its leaf is a "completion.end"/],
    ]
    for (const [change, reason] of cases) t.match(check(change).wrong.join('\n'), reason)
    const erased = check((one) => { one.begin.salt = one.ends[0].salt = null })
    t.same(erased.wrong, [])
    t.match(erased.notChecked.join('\n'), /the request: the transcript is erased[\s\S]*the answer: the transcript is erased/)
    t.match(check(() => {}, { verifiers: [] }).notChecked.join('\n'), /it came with the receipt/)
    const [own = ''] = committedBytes(answer).toString().split('\n')
    t.notMatch(committedBytes(answer).toString(), /"audit":|^:/m)
    t.match(own, stream ? /^data: / : /^\{"id"/)
  }
})

t.test('side by side, each choice is checked against its own record, whole and streamed, and by Go as well', { timeout: 120_000 }, async (t) => {
  const gateway = await build(t)
  gateway.upstreams.progressive.reply(upstream.answer({ content: 'said "by", {one} side ' }))
  gateway.upstreams.conservative.reply(upstream.answer({ content: 'said by, "the" [other] ' }))
  const { verifier } = gateway.services.audit.tree
  const go = process.env['CI'] === 'true' || spawnSync('go', ['version']).status === 0
  if (!go) t.comment('Go is not on this machine: its check of a receipt is left out')
  for (const more of [{}, { stream: true }, { stream: true, stream_options: { include_usage: true } }]) {
    const body = { model: 'both', messages: QUESTION, ...more }
    const reply = await gateway.ask(body)
    const answer = Buffer.from(await reply.arrayBuffer())
    const text = await (await fetch(`${gateway.url}/audit/v1/receipts/${reply.headers.get('x-audit-record')}`, { headers: { authorization: `Bearer ${gateway.keys.app}` } })).text()
    const check = (came: Buffer) => verifyReceipt(JSON.parse(text), { verifiers: [verifier], request: Buffer.from(JSON.stringify(body)), answer: came })
    const { checked, wrong } = check(answer)
    t.same(wrong, [])
    for (const choice of [0, 1]) t.match(checked.join('\n'), new RegExp(`the answer, choice ${choice}, is what the leaf commits to`))
    t.match(check(Buffer.from(answer.toString().replace('[other]', '[Other]').replace('other', 'Other'))).wrong, [/^the answer, choice 1, is not/])
    if (!go) continue
    const folder = temporary(t)
    const paths = Object.entries({ receipt: text, request: JSON.stringify(body), answer }).map(([name, content]) => { writeFileSync(join(folder, name), content); return join(folder, name) })
    const stranger = promisify(execFile)('go', ['run', './receipt', verifier, ...paths], { cwd: join(import.meta.dirname, 'go') })
    t.match((await stranger).stdout, /^the request and the answer are what they commit to$/m)
  }
})

t.test('the command says of each file what is wrong with it, and its exit code what came of the check', async (t) => {
  const gateway = await build(t)
  const reply = await gateway.ask({ model: 'A', messages: QUESTION })
  const folder = temporary(t)
  const file = (name: string, content: string): string => { writeFileSync(join(folder, name), content); return join(folder, name) }
  const answer = file('answer', await reply.text())
  const receipt = file('receipt.json', await (await fetch(`${gateway.url}/audit/v1/receipts/${reply.headers.get('x-audit-record')}`, { headers: { authorization: `Bearer ${gateway.keys.app}` } })).text())
  const { verifier } = gateway.services.audit.tree
  t.match(await run(REAL, ['receipt', receipt, '--vkey', verifier, '--answer', answer]), { code: 0, out: /the answer is what the leaf commits to/ })
  t.match(await run(REAL, ['receipt', receipt, '--vkey', 'garbage']), { code: 2, err: /--vkey: / })
  t.match(await run(REAL, ['receipt', receipt, '--vkey', verifier, '--request', answer]), { code: 1, out: /WRONG {8}the request/, err: /1 thing does not hold/ })
  t.match(await run(REAL, ['receipt', join(folder, 'none')]), { code: 2, err: /Cannot read the receipt, .*there is no such file/ })
  t.match(await run(REAL, ['receipt', answer]), { code: 1, err: /is no receipt: wanted the reply of GET/ })
  t.match(await run(REAL, ['receipt', file('error', '{"detail":"There is no record of yours"}')]), { code: 1, err: /is no receipt.*It says: There is no record of yours/ })
  t.match(await run(REAL, ['receipt', file('text', 'nonsense')]), { code: 1, err: /is no receipt/ })
  t.match(await run(REAL, ['receipt']), { code: 2 })
})
