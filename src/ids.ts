/** Ids of records and requests: UUIDv7, with pooled randomness. */
import { v7 } from 'uuid'
import { randomPooled } from './random.ts'

const ID_BYTES = 16

export const newId = (): string => v7({ random: randomPooled(ID_BYTES) })
