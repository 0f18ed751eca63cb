/**
 * Which bytes of an answer, as it came, a record commits to: those without the member `audit`, which tells where the record is, and
 * without a stream's comments. Side by side each choice has a record of its own, over what is that choice's. Pure bytes.
 */

/** No string of JSON holds this unescaped, so it is never an answer's own words. */
const MEMBER = /,"audit":(\{[^{}]*\})/
const MEMBERS = new RegExp(MEMBER, 'g')
const COMMENTS = /^:[^\n]*\n\n/gm
const CHOICES = ',"choices":['

/** `choice`: the number in the end leaf, where it has one. latin1 keeps every byte. */
export function committedBytes (answer: Uint8Array, choice?: number): Buffer {
  const text = Buffer.from(answer).toString('latin1')
  const whole = text.startsWith('{')
  if (choice === undefined) return Buffer.from((whole ? text : text.replace(COMMENTS, '')).replace(MEMBERS, ''), 'latin1')
  return Buffer.from(whole ? ofBody(text, choice) : ofStream(text.replace(COMMENTS, ''), choice), 'latin1')
}

/** What the answer says of its records: the hashes of their leaves. */
export const toldHashes = (answer: Uint8Array): string[] => [...Buffer.from(answer).toString('latin1').matchAll(MEMBERS)].flatMap(([, member]) => {
  const { leaf_hash: hash } = JSON.parse(member!) as { leaf_hash?: string }
  return hash === undefined ? [] : [hash]
})

/** The choices stand last, in order, and each ends with its receipt. */
function ofBody (text: string, choice: number): string {
  const parts = text.slice(text.indexOf(CHOICES) + CHOICES.length).split(MEMBER)
  // odd places hold the receipts; a part begins with the brace and the comma that the one before it left
  const part = parts[choice * 2] ?? ''
  return `${choice === 0 ? part : part.slice('},'.length)}}`
}

/** A frame is its choice's; one without a choice, as the last ones are, belongs to the choice that ended last. */
function ofStream (text: string, choice: number): string {
  let mine = ''
  let current: number | undefined
  for (const frame of text.split(/(?<=\n\n)/)) {
    current = indexOf(frame) ?? current
    if (current === choice) mine += frame.replace(MEMBER, '')
  }
  return mine
}

function indexOf (frame: string): number | undefined {
  try { return (JSON.parse(frame.slice('data: '.length)) as { choices?: { index?: number }[] }).choices?.[0]?.index } catch { return undefined }
}
