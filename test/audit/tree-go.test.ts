import { hash, randomInt } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { consistencyProof, inclusionProof, RightEdge, rootOf, type ReadNode } from '../../src/audit/merkle.ts'
import { leafHash } from '../../src/audit/record.ts'
import { goProgram, noGo } from '../fixtures/go.ts'

const MOST = 1100
const text = (hashes: readonly Uint8Array[]): string => hashes.map((one) => Buffer.from(one).toString('base64')).join(' ')

/** What we say to the questions that the Go program answers. */
function ours (question: string, read: ReadNode): string {
  const [a, b] = question.split(/\D+/).map(Number) as [number, number]
  if (question.includes('->')) return text(consistencyProof(a, b, read))
  return question.includes(' ') ? text(inclusionProof(b, a, read)) : text([rootOf(a, read)])
}

function differing (binary: string, tree: string, questions: readonly string[], read: ReadNode): string[] {
  const answers = execFileSync(binary, [tree], { input: questions.join('\n'), encoding: 'utf8', maxBuffer: 512 * 1024 * 1024 }).split('\n').slice(0, -1)
  t.equal(answers.length, questions.length)
  return questions.filter((question, at) => answers[at] !== ours(question, read))
}

t.test('for every size up to 1,100 roots, inclusion proofs and consistency proofs are those of Go\'s tlog, hash by hash', { skip: noGo, timeout: 240_000 }, async (t) => {
  const binary = await goProgram(t, './tree')
  const nodes = new Map<string, Uint8Array>()
  const edge = new RightEdge()
  for (let at = 0; at < MOST; at++) {
    const leaf = leafHash(Buffer.from(`leaf ${at}`))
    nodes.set(`0/${at}`, leaf)
    edge.append(leaf, (level, index, root) => { nodes.set(`${level}/${index}`, root) })
  }
  const read: ReadNode = (level, index) => nodes.get(`${level}/${index}`)!
  const questions: string[] = []
  for (let size = 1; size <= MOST; size++) {
    questions.push(`${size}`)
    for (const index of new Set([0, size - 1, size >> 1, (size * 7) % size, randomInt(size), randomInt(size)])) questions.push(`${size} ${index}`)
    for (const old of new Set([1, size, size >> 1 || 1, Math.max(1, size - 1), randomInt(1, size + 1), randomInt(1, size + 1)])) questions.push(`${old} -> ${size}`)
  }
  // all places and all pairs of the small ones
  for (let size = 1; size <= 70; size++) for (let one = 1; one <= size; one++) questions.push(`${size} ${one - 1}`, `${one} -> ${size}`)
  t.same(differing(binary, String(MOST), questions, read), [], `${questions.length} questions`)
})

t.test('so they are for random trees of up to 2^45 leaves, and for those around every power of two', { skip: noGo, timeout: 240_000 }, async (t) => {
  const binary = await goProgram(t, './tree')
  const read: ReadNode = (level, index) => hash('sha256', `${level}/${index}`, 'buffer')
  const sizes = Array.from({ length: 300 }, () => randomInt(1, 2 ** 45))
  for (let power = 1; power <= 45; power++) sizes.push(2 ** power - 1, 2 ** power, 2 ** power + 1)
  const questions = sizes.flatMap((size) => {
    const [index, old] = [randomInt(size), randomInt(1, size + 1)]
    return [`${size}`, `${size} ${index}`, `${size} 0`, `${size} ${size - 1}`, `${old} -> ${size}`, `${Math.max(1, size - 1)} -> ${size}`]
  })
  t.same(differing(binary, 'virtual', questions, read), [], `${questions.length} questions`)
})
