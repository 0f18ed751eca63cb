/** How an answer lies in a shared store: found by a hash of its key and sealed under another, so that only whoever asks the same request can read it. Pure. */
import { hash } from 'node:crypto'
import { seal as sealText, unseal as unsealText } from '../sealed.ts'

/** Tells nothing of the key, from which alone an answer can be opened. */
export const placeOf = (key: string): string => hash('sha256', `parallax cache place ${key}`)

const sealingKey = (key: string): Buffer => hash('sha256', `parallax cache seal ${key}`, 'buffer')

export const seal = (key: string, text: string): Buffer => sealText(sealingKey(key), text)

/** Undefined for what was not sealed under this key, or not left as it was. */
export const unseal = (key: string, sealed: Uint8Array): string | undefined => unsealText(sealingKey(key), sealed)
