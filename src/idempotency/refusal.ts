/** Why a claim is not granted, in words. Pure. */
import { ParallaxError } from '../errors.ts'

/** An answer takes seconds; SDKs come again twice. */
const IN_FLIGHT_SECONDS = 2
const UNAVAILABLE_SECONDS = 2

export const conflict = (): ParallaxError =>
  new ParallaxError('idempotency_conflict', 'This Idempotency-Key was sent before with another request. Send the same request again for its answer, or this one with a key of its own.')

export const inFlight = (): ParallaxError =>
  new ParallaxError('idempotency_in_flight', 'The request that came first with this Idempotency-Key is still being answered. Ask again in a moment for its answer.', { retryAfter: IN_FLIGHT_SECONDS })

/** The log has erased it by then, and what it has erased is not replayed: what is left is sealed, and runs out. */
export const unforgotten = (cause: unknown): ParallaxError =>
  new ParallaxError('idempotency_unavailable', 'The erasure is on record, but the answers kept for whoever comes again with the same Idempotency-Key cannot be reached, so it is not certain yet that the erased ones are gone from there. Repeat the erasure in a moment.', { cause, retryAfter: UNAVAILABLE_SECONDS })

export const unavailable = (cause: unknown): ParallaxError =>
  new ParallaxError('idempotency_unavailable', 'Whether this Idempotency-Key was sent before cannot be looked up at present, so the request is not answered, for it might be for the second time. Ask again in a moment, or without the key.', { cause, retryAfter: UNAVAILABLE_SECONDS })
