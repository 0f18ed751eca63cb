/**
 * Checkpoints to a witness (C2SP tlog-witness): it signs one only when the tree that it saw before is proved to be a beginning of it, so that
 * nobody can be shown another history that bears its signature.
 */
import type { LogTree } from '../log.ts'
import { openSigned, parseCosigner } from '../note.ts'
import { send, type Answer } from './http.ts'
import { Disputed, newest, type Signed, type Target } from './target.ts'

const SIZE_TYPE = 'text/x.tlog.size'

/** `url` is the witness's submission prefix, `vkey` its key. Throws for what is no witness's key. */
export function witnessTarget (url: string, vkey: string): Target {
  const cosigner = parseCosigner(vkey)
  const address = new URL(url)
  address.pathname = `${address.pathname.replace(/\/+$/, '')}/add-checkpoint`
  /** The size of what the witness saw last, as far as is known here; it corrects a wrong one. */
  let old = 0

  async function add (tree: LogTree, signal: AbortSignal): Promise<{ readonly signed: Signed, readonly answer: Answer }> {
    const signed = newest(tree)
    const proof = await tree.consistency(old, signed.size)
    if (proof === null) {
      const seen = old
      // asked again from the beginning: what it said may have been a mistake
      old = 0
      throw new Disputed(`"${cosigner.name}" has seen a tree of ${seen} leaves, this log has ${signed.size}: it was cut short, or is not the only one of its name.`)
    }
    const lines = proof.map((hash) => `${Buffer.from(hash).toString('base64')}\n`).join('')
    return { signed, answer: await send('POST', address.href, `old ${old}\n${lines}\n${signed.note}`, signal) }
  }

  /** The witness's line, where it is over this very text: a note within the answer could bear a signature over something else. */
  function lineOver ({ note, text }: Signed, answer: string): string {
    try {
      const opened = openSigned(note + answer, cosigner)
      if (opened.text === text) return opened.line
      throw new Error('it is over another text.')
    } catch (cause) {
      throw new Disputed(`What "${cosigner.name}" answered is no cosignature of the checkpoint: ${(cause as Error).message}`, { cause })
    }
  }

  return {
    to: 'witness',
    name: cosigner.name,
    async publish (tree, _now, signal) {
      let { signed, answer } = await add(tree, signal)
      const seen = seenBy(answer)
      if (seen !== null && seen !== old) {
        old = seen
        ;({ signed, answer } = await add(tree, signal))
      }
      const { status, text } = answer
      if (status === 422 || (status === 409 && old === signed.size)) throw new Disputed(`"${cosigner.name}" does not take this log's ${signed.size} leaves for ones that grew out of the ${old} that it has seen.`)
      if (status !== 200) throw new Error(`"${cosigner.name}" answered with the status ${status}${WORDS[status] ?? ''}.`)
      const cosignature = lineOver(signed, text)
      old = signed.size
      return { ...signed, cosignature }
    },
  }
}

const WORDS: Record<number, string> = { 403: ': it has another key for this log', 404: ': it does not know this log, or there is no witness at this address' }

/** The size that a witness corrects ours to, or null. */
function seenBy ({ status, type, text }: Answer): number | null {
  return status === 409 && type.split(';')[0] === SIZE_TYPE && /^(0|[1-9]\d{0,15})\n$/.test(text) ? Number(text) : null
}
