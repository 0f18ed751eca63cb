/**
 * What no perspective may serve, and what is said instead: the ruling on a conversation, the same whichever perspective was asked. The rules
 * are data (`policy/policy.json`); this file reads a conversation. Knows nothing of HTTP, perspectives or records.
 */
import { fileURLToPath } from 'node:url'
import { checkPolicy, readPolicy } from './policy/load.ts'
import type { ElectionWindow, PolicyDocument, PolicyRule } from './policy/document.ts'
import type { Finding, Reading, RuleBook } from './policy/rules.ts'
import { wordsOf } from './policy/words.ts'

export interface Ruling {
  readonly rule: string
  readonly version: string
  /** `redirect`: the caller is pointed to an official source. `refuse`: the answer is withheld. */
  readonly kind: 'redirect' | 'refuse'
  readonly text: string
}

/** What people and applications said; what a model answered is not looked at. */
export interface Conversation {
  /** Every system and developer message, joined. */
  readonly system: string
  /** The user's turns, oldest first. */
  readonly users: readonly string[]
}

export interface Policy {
  readonly version: string
  /** Where it was read, and what was read there. */
  readonly file: string
  readonly bytes: Uint8Array
  readonly sha256: string
  readonly document: PolicyDocument
  readonly electionWindows: readonly ElectionWindow[]
  /** Null where the perspective that was asked for may answer. */
  rule (conversation: Conversation, now: Date): Ruling | null
  /** Whether a rule is in force: those for election windows are not outside of them. */
  inForce (rule: PolicyRule, now: Date): boolean
  /** A rule's fixed text, its sources filled in. */
  text (rule: PolicyRule, language: string): string
}

export const POLICY_FILE = fileURLToPath(new URL('../../policy/policy.json', import.meta.url))

/** How many earlier turns an ask may be spread over, and how many go-aheads lead back to what was ruled on. */
const EARLIER_TURNS = 3
const GO_AHEADS = 3
/** A go-ahead says little else: "yes, do it anyway". */
const GO_AHEAD_WORDS = 16
/** The words that say "go on" or "for them" open the turn. */
const OPENING_WORDS = 4

/** Reads the policy. Throws PolicyError naming every mistake. */
export function loadPolicy ({ file = POLICY_FILE, electionWindows = [] }: { file?: string, electionWindows?: readonly ElectionWindow[] } = {}): Policy {
  const { document, book, bytes, sha256 } = readPolicy(file)
  const windows = electionWindows.map((window) => ({
    window,
    book: window.candidates.length === 0 ? book : checkPolicy(document, file, { candidates: window.candidates.map((name) => wordsOf(name).words.filter((word) => /\w/.test(word)).join(' ')) }).book,
  }))
  const texts = new Map<string, string>()

  function text (rule: PolicyRule, language: string): string {
    const key = `${rule.id} ${language}`
    let known = texts.get(key)
    if (known === undefined) {
      const sources = document.sources.map((one) => `${one.jurisdiction}: ${one.authority}, ${one.url}`).join('\n')
      texts.set(key, known = (rule.texts[language] ?? rule.texts['en']!).replace('{sources}', sources))
    }
    return known
  }

  const within = (window: ElectionWindow, now: Date): boolean => {
    const today = now.toISOString().slice(0, 10)
    return window.from <= today && today <= window.to
  }

  return {
    version: document.version,
    file,
    bytes,
    sha256,
    document,
    electionWindows,
    text,
    inForce: (rule, now) => !rule.window || windows.some(({ window }) => within(window, now)),
    rule (conversation, now) {
      const always = finding(book, conversation, (rule) => !rule.window)
      const found = always ?? firstOf(windows.filter(({ window }) => within(window, now)), (one) => finding(one.book, conversation, (rule) => rule.window))
      return found && { rule: found.rule.id, version: document.version, kind: found.rule.kind, text: text(found.rule, found.language) }
    },
  }
}

function firstOf<T, R> (all: readonly T[], find: (one: T) => R | null): R | null {
  for (const one of all) {
    const found = find(one)
    if (found) return found
  }
  return null
}

type Only = (rule: PolicyRule) => boolean

/** A conversation as the rules are put to it; each turn is read once, and only when it is needed. */
interface Read {
  readonly book: RuleBook
  readonly only: Only
  readonly refusals: Only
  readonly standing: Reading | null
  readonly turn: (at: number) => Reading
}

function finding (book: RuleBook, { system, users }: Conversation, only: Only): Finding | null {
  const read: (Reading | undefined)[] = []
  const refusals: Only = (rule) => only(rule) && rule.kind === 'refuse'
  const standing = system === '' ? null : book.readSystem(system)
  // a standing order for what is refused is one whatever the turn says
  const ordered = standing && book.judge(standing, refusals)
  return ordered ?? onTurn({ book, only, refusals, standing, turn: (at) => read[at] ??= book.read(users[at]!) }, users.length - 1, GO_AHEADS)
}

function onTurn (said: Read, at: number, goAheads: number): Finding | null {
  if (at < 0) return null
  const { book, only, refusals, standing, turn } = said
  const last = turn(at)
  const alone = book.judge(last, only)
  if (alone) return alone
  if (standing && book.mayJoin([standing, last]) && !book.has(last, 'asks', OPENING_WORDS)) {
    const joint = book.judge(book.join([standing, last]), refusals, standing.words.length)
    if (joint) return joint
  }
  const earlier = Array.from({ length: Math.min(at, EARLIER_TURNS + goAheads) }, (_, back) => turn(at - 1 - back)).reverse()
  if (earlier.length === 0 || !book.mayJoin(standing ? [standing, ...earlier, last] : [...earlier, last])) return null
  if (goAheads > 0 && last.words.length <= GO_AHEAD_WORDS && book.has(last, 'continues', OPENING_WORDS)) {
    const ruled = onTurn(said, at - 1, goAheads - 1)
    if (ruled) return ruled
  }
  if (!book.has(last, 'refers_back')) return null
  // a turn that was ruled on by itself is closed: it must not colour what is asked after it
  const open = earlier.slice(-EARLIER_TURNS).filter((one) => !book.judge(one, only))
  if (open.length === 0) return null
  const before = book.join(open)
  return book.judge(book.join([before, last]), refusals, before.words.length)
}
