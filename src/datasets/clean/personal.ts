/** Personal data in a text: addresses of all kinds, telephone numbers, handles. Errs towards finding. Pure. */
const KINDS: readonly (readonly [kind: string, pattern: RegExp])[] = [
  ['email', /[\w.+-]+ ?(?:@|\(at\)|\[at\]) ?[\w-]+(?:\.[\w-]+)+/i],
  ['telephone', /(?<![\d$€£.,])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?|\d{3}[ .-])\d{3}[ .-]?\d{3,4}(?!\d)|\+\d{1,3}(?:[ .-]?\d{2,4}){3,4}(?!\d)/],
  ['handle', /(?<![\w.])@[A-Za-z_]\w{2,}|(?<!\w)\/?u\/[\w-]{3,}/],
  ['street address', /(?<!\d)\d{1,5} (?:[NSEW]\.? )?(?:[A-Z][a-z]+ ){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl)\b\.?/],
  ['identity number', /(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)/],
  ['card number', /(?<!\d)(?:\d{4}[ -]){3}\d{4}(?!\d)/],
  ['network address', /(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])/],
]

/** Without one of these there is nothing to find, and most texts have none. */
const HINT = /[@\d]|\(at\)|\[at\]|\bu\//

export const personalData = (text: string): string | undefined => HINT.test(text) ? KINDS.find(([, pattern]) => pattern.test(text))?.[0] : undefined
