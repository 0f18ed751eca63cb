import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import * as upstream from '../fixtures/upstream.ts'
import { build } from '../helper.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const python = process.env['PARALLAX_TEST_PYTHON'] ?? `${root}.cache/python/bin/python`

// in CI a missing SDK fails: the test then runs and cannot find its Python
const skip = existsSync(python) || process.env['CI'] === 'true' ? false : `no Python with the package "openai" at ${python}; .ci/run makes one, or set PARALLAX_TEST_PYTHON`

t.test('the official SDK for Python works unchanged', { skip }, async (t) => {
  const gateway = await build(t)
  gateway.upstreams.progressive.reply((request) => {
    const asked = request.body.messages.at(-1).content as string
    if (asked === 'limit me') return upstream.rateLimited('1')
    if (asked === 'break') return upstream.halfFrame()
    if (asked === 'go on') return upstream.endless()
    if (asked === 'logprobs') return upstream.answer({ logprobs: true })
    if (asked === 'tools') return upstream.answer({ content: null, toolCalls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }] })
    return upstream.answer()
  })
  const { stdout } = await promisify(execFile)(python, [`${root}test/sdk/conformance.py`, `${gateway.url}/v1`, gateway.keys.app, gateway.keys.auditor], { timeout: 60_000 })
  const results = JSON.parse(stdout) as Record<string, string>
  t.ok(Object.keys(results).length >= 12, Object.keys(results).join(', '))
  for (const [name, result] of Object.entries(results)) t.equal(result, 'ok', name)
  t.ok(gateway.upstreams.progressive.requests.some((request) => request.aborted), 'closing a stream ended the expert\'s work')
})
