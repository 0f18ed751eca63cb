/** The stages in the order in which they run. Splitting stands before composing: an answer put together of statements must not borrow from held-out ones. */
import { annotate } from './annotate.ts'
import { augment } from './augment.ts'
import { balance } from './balance.ts'
import { clean } from './clean.ts'
import { collect } from './collect.ts'
import { decontaminate } from './decontaminate.ts'
import { exportStage } from './export.ts'
import { objective } from './objective.ts'
import { pair } from './pair.ts'
import { split } from './split.ts'
import type { Stage } from './stage.ts'

export const STAGES: readonly Stage[] = [objective, collect, clean, pair, annotate, split, augment, decontaminate, balance, exportStage]
