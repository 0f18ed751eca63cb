/**
 * A fine-tuning job at a service that speaks OpenAI's API: files, job, events, end. Knows the API through the official client
 * that it is given, so any base URL will do; knows no perspective, and nothing of what is in the files.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type OpenAI from 'openai'
import type { FineTuningJob, FineTuningJobEvent, JobCreateParams } from 'openai/resources/fine-tuning/jobs/jobs'

export interface HostedJob {
  readonly method: 'sft' | 'dpo'
  readonly model: string
  readonly training: string
  readonly validation: string | undefined
  readonly suffix: string | undefined
  readonly seed: number
  readonly epochs: number | undefined
  readonly beta: number | undefined
}

export interface Watch {
  readonly say: (line: string) => void
  readonly wait: () => Promise<void>
}

export class HostedError extends Error {
  override readonly name = 'HostedError'
}

const ENDED: readonly string[] = ['succeeded', 'failed', 'cancelled']
/** A service that does not answer so many times in a row is told of; the job goes on there. */
const MOST_SILENCES = 5

async function fingerprint (file: string): Promise<string> {
  const sha256 = createHash('sha256')
  for await (const part of createReadStream(file)) sha256.update(part as Buffer)
  return sha256.digest('hex')
}

async function upload (client: OpenAI, file: string, say: (line: string) => void): Promise<{ readonly id: string, readonly sha256: string }> {
  const sha256 = await fingerprint(file)
  const { id, status, status_details: details } = await client.files.create({ file: createReadStream(file), purpose: 'fine-tune' })
  if (status === 'error') throw new HostedError(`The service refused ${file}: ${details ?? 'without a reason'}. No job was made.`)
  say(`${file} is uploaded as ${id} (SHA-256 ${sha256})`)
  return { id, sha256 }
}

function method ({ method, epochs, beta }: HostedJob): NonNullable<JobCreateParams['method']> {
  const hyperparameters = { ...epochs !== undefined && { n_epochs: epochs }, ...beta !== undefined && { beta } }
  return method === 'dpo' ? { type: 'dpo', dpo: { hyperparameters } } : { type: 'supervised', supervised: { hyperparameters } }
}

export interface Made { readonly job: string, readonly training: { readonly id: string, readonly sha256: string }, readonly validation: { readonly id: string, readonly sha256: string } | null }

/** Uploads and creates; does not wait. What comes back is kept, so that a second call need not make a second job. */
export async function createJob (client: OpenAI, asked: HostedJob, say: (line: string) => void): Promise<Made> {
  const training = await upload(client, asked.training, say)
  const validation = asked.validation === undefined ? null : await upload(client, asked.validation, say)
  const job = await client.fineTuning.jobs.create({
    model: asked.model, training_file: training.id, ...validation && { validation_file: validation.id }, ...asked.suffix !== undefined && { suffix: asked.suffix }, seed: asked.seed, method: method(asked),
  })
  say(`job ${job.id} is ${job.status}`)
  return { job: job.id, training, validation }
}

const explained = ({ error }: FineTuningJob): string => error ? [error.message || 'without a reason', error.code && `code ${error.code}`, error.param && `in ${error.param}`].filter(Boolean).join(', ') : 'without a reason'

const BAR = 20

/** "step 30/120 [#####...............] train_loss 0.91", where the event has numbers; its message else. */
export function eventLine (event: Pick<FineTuningJobEvent, 'message' | 'data' | 'level'>): string {
  const data = (event.data ?? {}) as Readonly<Record<string, unknown>>
  const { step, total_steps: total } = data
  if (typeof step !== 'number' || typeof total !== 'number' || total <= 0) return event.level === 'info' ? event.message : `${event.level}: ${event.message}`
  const done = Math.round(BAR * Math.min(1, Math.max(0, step / total)))
  const rest = Object.entries(data).filter(([key, value]) => typeof value === 'number' && key.endsWith('loss')).map(([key, value]) => ` ${key} ${Number(value).toPrecision(3)}`)
  return `step ${step}/${total} [${'#'.repeat(done)}${'.'.repeat(BAR - done)}]${rest.join('')}`
}

/** Events that were not told yet, the oldest first; the API lists the newest first. */
async function newEvents (client: OpenAI, job: string, told: ReadonlySet<string>): Promise<FineTuningJobEvent[]> {
  const found: FineTuningJobEvent[] = []
  for await (const event of client.fineTuning.jobs.listEvents(job, { limit: 100 })) {
    if (told.has(event.id)) break
    found.push(event)
  }
  return found.toReversed()
}

/** Tells every event once, until the job has ended; the name of the tuned model, or why there is none. */
export async function watchJob (client: OpenAI, job: string, { say, wait }: Watch): Promise<string> {
  const told = new Set<string>()
  let silences = 0
  for (;;) {
    let found: FineTuningJob | undefined
    try {
      found = await client.fineTuning.jobs.retrieve(job)
      for (const event of await newEvents(client, job, told)) {
        told.add(event.id)
        say(eventLine(event))
      }
      silences = 0
    } catch (error) {
      // the client has tried again itself; what the service refuses it will refuse again
      const { status } = error as { readonly status?: number }
      if (status !== undefined && status < 500 && status !== 408 && status !== 429) throw error
      if (++silences === MOST_SILENCES) throw new HostedError(`The service did not answer ${MOST_SILENCES} times (${(error as Error).message}). Job ${job} goes on there: "parallax train watch ${job}" looks again.`, { cause: error })
    }
    if (found !== undefined && ENDED.includes(found.status)) return ended(found)
    await wait()
  }
}

function ended (job: FineTuningJob): string {
  if (job.status === 'cancelled') throw new HostedError(`Job ${job.id} was cancelled; there is no model.`)
  if (job.status === 'failed') throw new HostedError(`Job ${job.id} failed: ${explained(job)}. Nothing was trained: correct that and start again.`)
  if (job.fine_tuned_model === null) throw new HostedError(`Job ${job.id} succeeded, and names no model: ask the service.`)
  return job.fine_tuned_model
}

/** Cancels, and says how the job stands then. One that has ended stays as it ended. */
export async function cancelJob (client: OpenAI, job: string): Promise<string> {
  const before = await client.fineTuning.jobs.retrieve(job)
  if (ENDED.includes(before.status)) throw new HostedError(`Job ${job} has ended already: ${before.status}.`)
  return (await client.fineTuning.jobs.cancel(job)).status
}
