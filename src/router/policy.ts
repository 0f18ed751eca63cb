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
  /** SHA-256 of the policy's file. */
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
  const { document, book, sha256 } = readPolicy(file)
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

function finding (book: RuleBook, { system, users }: Conversation, only: Only): Finding | null {
  const refusals: Only = (rule) => only(rule) && rule.kind === 'refuse'
  const standing = system === '' ? null : book.readSystem(system)
  // a standing order for what is refused is one whatever the turn says
  return (standing && book.judge(standing, refusals)) ?? onTurn(book, standing, users, only, refusals, GO_AHEADS)
}

function onTurn (book: RuleBook, standing: Reading | null, users: readonly string[], only: Only, refusals: Only, goAheads: number): Finding | null {
  const said = users.at(-1)
  if (said === undefined) return null
  const last = book.read(said)
  const alone = book.judge(last, only)
  if (alone) return alone
  if (standing && !book.has(last, 'asks', OPENING_WORDS)) {
    const joint = book.judge(book.join(standing, last), refusals, standing.words.length)
    if (joint) return joint
  }
  const before = users.slice(0, -1)
  if (before.length === 0) return null
  if (goAheads > 0 && last.words.length <= GO_AHEAD_WORDS && book.has(last, 'continues', OPENING_WORDS)) {
    const ruled = onTurn(book, standing, before, only, refusals, goAheads - 1)
    if (ruled) return ruled
  }
  if (!book.has(last, 'refers_back')) return null
  // a turn that was ruled on by itself is closed: it must not colour what is asked after it
  const open = before.slice(-EARLIER_TURNS).map((turn) => book.read(turn)).filter((turn) => !book.judge(turn, only))
  if (open.length === 0) return null
  const earlier = open.reduce((all, turn) => book.join(all, turn))
  return book.judge(book.join(earlier, last), refusals, earlier.words.length)
}

// ---- until chat/answer.ts asks a Policy of its own ----
let shipped: Policy | undefined
/** The shipped policy's ruling outside of election windows, on a conversation or on one turn. */
export function rule (asked: string | Conversation, now: Date = new Date()): Ruling | null {
  shipped ??= loadPolicy()
  return shipped.rule(typeof asked === 'string' ? { system: '', users: [asked] } : asked, now)
}
