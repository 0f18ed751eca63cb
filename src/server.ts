/** Entry: configuration -> services -> app -> listen; closes gracefully. Holds no rule of its own. */
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.ts'
import { ConfigError, loadConfig, type Config } from './config.ts'
import { controlPath, serveControl } from './control.ts'
import { firstKeys, welcome } from './keys/first-keys.ts'
import { buildServices, type ServiceLog, type Services } from './services.ts'

/** Beyond the time that running answers get, for flushing the log and ending the engine. */
const CLOSING_SLACK_MS = 10_000

const say = (text: string): void => { process.stdout.write(`${text}\n`) }

/** What the system says of an address that cannot be had, with what to do. */
function addressAdvice (error: unknown): unknown {
  const { code = '', message } = error as NodeJS.ErrnoException
  const advice = ({ EADDRINUSE: 'Another program listens there: end it, or choose another with PORT, such as PORT=3001 npm start.', EACCES: 'This user may not listen there: choose a port from 1024 up with PORT.', EADDRNOTAVAIL: 'HOST is no address of this machine.' } as Record<string, string>)[code]
  return advice === undefined ? error : new Error(`${message}. ${advice}`, { cause: error })
}

/** A mistake of the operator's, or a store that refuses: told in words, without a stack. */
function giveUp (error: unknown): never {
  process.stderr.write(`Parallax cannot start. ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}

function readConfig (): Config {
  try { return loadConfig(process.env, fileURLToPath(new URL('..', import.meta.url))) } catch (error) {
    if (error instanceof ConfigError) return giveUp(error)
    throw error
  }
}

async function start (config: Config): Promise<void> {
  // what the rooms say before there is a logger goes to the same place
  let write: ServiceLog = (level, event, fields) => { process.stderr.write(`${JSON.stringify({ level, event, ...fields })}\n`) }
  const services = await buildServices(config, (level, event, fields) => { write(level, event, fields) }).catch(giveUp)
  const app = await buildApp(services, { logger: { level: config.logLevel, stream: process.stderr } })
  write = (level, event, fields) => { app.log[level](fields, event) }
  await app.ready()
  const undo = async (error: unknown): Promise<never> => {
    await app.close()
    await services.close()
    return giveUp(error)
  }
  const outcome = await firstKeys({ store: services.keys, directory: config.dataDir, loopback: config.loopback }).catch(undo)
  const control = await serveControl({ path: controlPath(config.dataDir), handler: (request, response) => { app.routing(request, response) } }).catch(undo)
  await app.listen({ host: config.host, port: config.port }).catch((error: unknown) => undo(addressAdvice(error)))

  closeWithGrace({ delay: config.limits.shutdownMs + CLOSING_SLACK_MS, logger: { error: (error: unknown) => app.log.error(error) } }, async ({ signal, err }) => {
    if (err) app.log.error({ err }, 'unexpected')
    app.log.info({ signal }, 'closing')
    // answers that run get their time; what is left then is broken off, told so, and recorded
    const deadline = setTimeout(() => { services.chat.breakOff() }, config.limits.shutdownMs)
    await app.close()
    clearTimeout(deadline)
    await control.close()
    await services.close()
  })

  const { port } = app.server.address() as AddressInfo
  const origin = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`
  say(`Parallax listens on ${origin} (API under /v1, documentation at /docs).`)
  const greeting = welcome(outcome, { directory: config.dataDir, origin })
  if (greeting !== null) say(`\n${greeting}\n`)
  await report(services)
}

/** Says who can answer, once that is known; a model that is missing is no reason not to run. */
async function report ({ config, engine, experts, unserved, perspectives }: Services): Promise<void> {
  for (const [id, reason] of unserved) say(`The perspective "${id}" cannot answer: ${reason}`)
  const labels = (remote: boolean): string => perspectives.list().filter(({ id }) => (config.experts[id] !== undefined) === remote && experts.get(id)?.availability().ok).map(({ label }) => label).join(', ')
  // nobody has asked it yet: whether it is there shows with the first question
  const elsewhere = labels(true) && ` ${labels(true)}: by endpoints of your configuration, which are first asked when somebody asks; /readyz says how they do.`
  if (!engine) {
    if (elsewhere) say(`Ready.${elsewhere}`)
    return
  }
  await engine.ready().then(
    () => {
      const { unusable = {} } = engine.state()
      for (const [id, reason] of Object.entries(unusable)) say(`The perspective "${id}" cannot answer: ${reason}`)
      say(`Ready: ${labels(false)} can answer.${elsewhere}`)
    },
    () => { say(`The embedded engine cannot answer: ${engine.state().reason ?? 'no reason known'}`) })
}

await start(readConfig())
