/** What every bench is given and what it gives back. */
import type { Gateway } from './gateway.ts'
import type { Loader } from './loader.ts'
import type { Measured, Plan } from './rounds.ts'
import type { Placement } from './placement.ts'
import type { System } from './system.ts'

export interface Stage {
  readonly placement: Placement
  readonly loader: Loader
  readonly mock: System
  /** Null, with the reason, while there is no gateway to start. */
  readonly gateway: Gateway | null
  /** Other gateways (and Parallax of another checkout), where they were asked for. */
  readonly rivals: readonly System[]
  readonly plan: Plan
  /** Where data directories are made; on a disk. */
  readonly dataParent: string
  /** Starts a server of ours on the system's cores; stopped at the end of the bench that asked for it. */
  readonly start: (name: string, file: string, ...args: string[]) => Promise<System>
}

export interface Outcome {
  readonly title: string
  /** Markdown. */
  readonly report: string
  readonly measured?: readonly Measured[]
  /** The numbers that the issues set targets for, by name. */
  readonly figures?: Readonly<Record<string, number>>
}

export interface Bench {
  readonly name: string
  readonly about: string
  run (stage: Stage): Promise<Outcome>
}
