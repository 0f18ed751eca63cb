import { createHmac } from 'node:crypto'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { KeyStoreError } from '../../src/keys/keys.ts'
import { hmacSha256, readPepper } from '../../src/keys/pepper.ts'

t.test('the HMAC of two one-shot hashes is the one of createHmac', async (t) => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.array(fc.string({ maxLength: 60 }), { minLength: 1, maxLength: 4 }), (key, messages) => {
    const hmac = hmacSha256(key)
    // the buffers are reused between messages: a longer one before must leave nothing behind
    return messages.every((message) => hmac(message).equals(createHmac('sha256', key).update(message).digest()))
  }))
  const hmac = hmacSha256(Buffer.alloc(32, 7))
  const first = hmac('one')
  hmac('two')
  t.same(first, createHmac('sha256', Buffer.alloc(32, 7)).update('one').digest(), 'a result does not change when the next is made')
  t.throws(() => hmac('x'.repeat(257)), RangeError)
  t.throws(() => hmacSha256(Buffer.alloc(65)), RangeError)
})

t.test('the pepper is made once, of 32 bytes, for its owner only', async (t) => {
  const path = join(t.testdir(), 'pepper')
  const made = readPepper(path, 0)
  t.equal(made.length, 32)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.same(readPepper(path, 5), made)
  t.notSame(readPepper(join(t.testdir(), 'other'), 0), made)
})

t.test('a missing pepper is never replaced while keys depend on it', async (t) => {
  const path = join(t.testdir(), 'pepper')
  t.throws(() => readPepper(path, 3), { name: 'KeyStoreError', message: /is missing, and 3 keys were hashed with it.*backup/ })
  t.throws(() => statSync(path), { code: 'ENOENT' }, 'nothing was written')
})

t.test('a pepper of the wrong size, open to others or unreadable is refused with the remedy', async (t) => {
  const path = join(t.testdir(), 'pepper')
  for (const size of [0, 31, 33]) {
    writeFileSync(path, Buffer.alloc(size), { mode: 0o600 })
    t.throws(() => readPepper(path, 1), new RegExp(`has ${size} bytes instead of 32`))
  }
  writeFileSync(path, Buffer.alloc(32))
  for (const mode of [0o640, 0o604, 0o620, 0o644]) {
    chmodSync(path, mode)
    t.throws(() => readPepper(path, 0), new RegExp(`mode 0${mode.toString(8)}.*chmod 600`))
  }
  chmodSync(path, 0o400)
  t.equal(readPepper(path, 0).length, 32)
  t.equal(readFileSync(path).length, 32)
  t.throws(() => readPepper(t.testdir(), 0), KeyStoreError, 'a directory in its place')
})
