/** Checkpoints at an address: each is sent there whole, as text. Any status from 200 to 299 says that it was kept. */
import { send } from './http.ts'
import { newest, type Target } from './target.ts'

export const urlTarget = (url: string, method: 'PUT' | 'POST'): Target => ({
  to: 'url',
  async publish (tree, _now, signal) {
    const signed = newest(tree)
    const { status } = await send(method, url, signed.note, signal)
    if (status < 200 || status > 299) throw new Error(`The address answered with the status ${status}.`)
    return signed
  },
})
