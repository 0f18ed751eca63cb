/** Every text that is put to a perspective or scored, but for the questions, which are made from parts. */
import type { Instruments } from '../../src/evaluation/instruments.ts'

export const Items = (all: Instruments): string[] => [
  ...[...all.paired.pairs, ...all.outgroups.pairs, ...all.adversarial.pairs].flatMap(({ left, right }) => [left, right]),
  ...all.harmless.prompts.map(({ text }) => text), ...all.neutral.texts.map(({ text }) => text), ...all.facts.pairs.flatMap((one) => [one.true, one.false]),
  ...all.xstest.map(({ prompt }) => prompt), ...all.questionnaires.flatMap(({ items }) => items.flatMap(({ text, negated }) => [text, negated!])),
]
