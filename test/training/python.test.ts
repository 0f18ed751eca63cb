import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '../..')
/** With pytest and nothing of what trains: that is 3 GB, and the command in training/README.md has it. */
const python = process.env['PARALLAX_TEST_PYTHON'] ?? join(root, '.cache/python/bin/python')
const LIGHT = ['configuration', 'rows', 'curves', 'checkpoints', 'base_model']

// in CI a missing Python fails: the test then runs and cannot find it
const skip = process.env['CI'] === 'true' || (existsSync(python) && spawnSync(python, ['-c', 'import pytest']).status === 0) ? false : `no Python with pytest at ${python}; .ci/run makes one, or set PARALLAX_TEST_PYTHON`

t.test('what training refuses, reads and draws is right without any of the packages that train', { skip }, (t) => {
  const { status, stdout, stderr } = spawnSync(python, ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', ...LIGHT.map((name) => join(root, `training/tests/test_${name}.py`))], { encoding: 'utf8', timeout: 240_000 })
  t.equal(status, 0, stdout + stderr)
  t.match(stdout, /\d+ passed/)
  t.notMatch(stdout, /skipped/)
  t.end()
})
