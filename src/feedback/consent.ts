/** The text under which what people say may train, by version. A text that somebody agreed to is never changed: another is put before it. */

export interface ConsentText { readonly version: string, readonly text: string }

/** The present one first. */
const TEXTS: readonly [ConsentText, ...ConsentText[]] = [{
  version: '2026-11',
  text: 'You allow that the question, the answers that you judged and your judgement are used to train and to evaluate later versions of the models behind this gateway, ' +
    'whichever perspective they speak from. Your comment is read by people and trains nothing. You can withdraw this at any time; models that were trained before then are not trained anew.',
}]

export const [CONSENT] = TEXTS

export const consentText = (version: string): ConsentText | undefined => TEXTS.find((one) => one.version === version)
