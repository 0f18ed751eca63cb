/** Canonical JSON by RFC 8785. Its rules are ECMAScript's own for numbers and strings; only the order of members is to be made. Pure. */

const memberNames = new Map<string, string>()
/** Names come from requests too: the memory of them is bounded. */
const NAMES_KEPT = 512

/** `"name":`, as it stands before a member's value. */
export function canonicalName (name: string): string {
  let text = memberNames.get(name)
  if (text === undefined) {
    text = `${JSON.stringify(name)}:`
    if (memberNames.size < NAMES_KEPT && name.length < 64) memberNames.set(name, text)
  }
  return text
}

/** `"name":value`, the part of an object's text that one member makes. */
export const canonicalMember = (name: string, value: unknown): string => canonicalName(name) + canonical(value)

/** Up to here inserting each at its place is several times as fast as the engine's sort. */
const FEW = 16

/** Sorted in place by UTF-16 code units, as the RFC asks; most objects that we make are in order already, and nearly all are small. */
export function sorted (names: string[]): string[] {
  if (names.length > FEW) return names.sort()
  for (let next = 1; next < names.length; next++) {
    const name = names[next]!
    let at = next
    for (; at > 0 && names[at - 1]! > name; at--) names[at] = names[at - 1]!
    names[at] = name
  }
  return names
}

/** Nothing in it that JSON escapes. Ids, names and digests are such, and short: for them a call of JSON.stringify costs more than looking. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/
const SHORT = 64

const stringText = (value: string): string => value.length <= SHORT && PLAIN.test(value) ? `"${value}"` : JSON.stringify(value)

/** Texts of objects that cannot change any more. */
const frozen = new WeakMap<object, string>()

/** Members that are undefined are left out, as JSON.stringify does. Throws RangeError for a number that JSON cannot hold. */
export function canonical (value: unknown): string {
  if (typeof value === 'string') return stringText(value)
  if (value === null || typeof value !== 'object') {
    if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError(`JSON cannot hold the number ${value}.`)
    return typeof value === 'number' || typeof value === 'boolean' ? String(value) : JSON.stringify(value)
  }
  if (!Object.isFrozen(value)) return textOf(value)
  let text = frozen.get(value)
  if (text === undefined) frozen.set(value, text = textOf(value))
  return text
}

function textOf (value: object): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  const members = value as Readonly<Record<string, unknown>>
  let text = ''
  for (const name of sorted(Object.keys(members))) {
    const member = members[name]
    if (member !== undefined) text += (text === '' ? '' : ',') + canonicalMember(name, member)
  }
  return `{${text}}`
}
