/**
 * Runs before `npm start` and `npm test`: brings what they need and is not here. Plain JavaScript with Node's own modules on Node 18 and newer,
 * because nothing is installed yet. Does nothing, quickly, when nothing is missing.
 *
 *   node setup/prepare.js start     the packages the gateway runs on, and the base model
 *   node setup/prepare.js test      every package; the base model only with PARALLAX_FETCH_MODEL=1, for no test depends on it
 */
import { fileURLToPath } from 'node:url'
import { provideModel } from './model.js'
import { install, InstallError, isInstalled } from './packages.js'

const MODES = ['start', 'test']
const USAGE = 64

const root = fileURLToPath(new URL('..', import.meta.url))
const say = (text) => { process.stderr.write(`${text}\n`) }

async function prepare (mode, env) {
  if (!isInstalled(root, mode)) await install(root, mode, env, say)
  if (mode === 'start' || env.PARALLAX_FETCH_MODEL === '1') await provideModel(env, say)
}

const mode = process.argv[2]
if (!MODES.includes(mode)) {
  say(`Usage: node setup/prepare.js ${MODES.join('|')}`)
  process.exitCode = USAGE
} else {
  await prepare(mode, process.env).catch((error) => {
    if (!(error instanceof InstallError)) throw error
    say(error.message)
    process.exitCode = error.exitCode
  })
}
